"""The float models that packages carry (tools/environments/models.wheels), and samples for them."""

import os
from pathlib import Path

import numpy as np

FOLDER = Path(os.environ.get("INT8X_MODELS") or "no-models")
FLOAT_MODELS = [f"mediapipe/{name}.tflite" for name in (
    "face_detection_full_range_sparse", "face_detection_short_range", "face_landmark",
    "face_landmark_with_attention", "hand_landmark_full", "hand_landmark_lite", "hand_recrop",
    "iris_landmark", "palm_detection_full", "palm_detection_lite", "pose_detection",
    "pose_landmark_full", "selfie_segmentation", "selfie_segmentation_landscape",
)] + ["basic_pitch/nmp.tflite"]  # fmt: skip
STATEFUL_INT8_MODELS = [
    f"pymicro_wakeword/{name}.tflite"
    for name in ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu")
]


def path(name: str) -> Path:
    """Where a model lies. Raises FileNotFoundError with the command that fetches it."""
    found = FOLDER / name
    if not found.is_file():
        raise FileNotFoundError(
            f"{found}: set INT8X_MODELS to the folder that `tools/environments/make.py models` "
            "prints"
        )
    return found


def photographs(shape: tuple[int, ...], count: int) -> np.ndarray:
    """[count, *shape[1:]]: crops of scikit-learn's two photographs, shrunk by area, in [0, 1]."""
    import tensorflow as tf

    folder = Path(__import__("sklearn").__file__).parent / "datasets" / "images"
    images = [
        tf.io.decode_jpeg((folder / f"{name}.jpg").read_bytes()).numpy() / np.float32(255)
        for name in ("china", "flower")
    ]
    dice, crops = np.random.default_rng(7), []
    for number in range(count):
        image = images[number % 2]
        side = int(dice.integers(200, min(image.shape[:2])))
        top, left = (int(dice.integers(0, size - side + 1)) for size in image.shape[:2])
        crop = image[top : top + side, left : left + side]
        crops.append(tf.image.resize(crop, shape[1:3], method="area").numpy())
    return np.stack(crops)


def tones(length: int, count: int) -> np.ndarray:
    """[count, length, 1]: chords of plucked strings at 22,050 samples a second, in [-1, 1]."""
    dice, time = np.random.default_rng(7), np.arange(length) / 22_050
    samples = []
    for _ in range(count):
        sound = np.zeros(length)
        for key in dice.choice(np.arange(40, 80), 6, replace=False):
            start, pitch = dice.uniform(0, 1.5), 440 * 2 ** ((key - 69) / 12)
            since = np.maximum(time - start, 0)
            for harmonic in range(1, 6):
                wave = np.sin(2 * np.pi * pitch * harmonic * since) * np.exp(-3 * harmonic * since)
                sound += wave * (time >= start) / harmonic
        samples.append(sound / np.abs(sound).max())
    return np.stack(samples).astype(np.float32)[..., None]


def samples(shape: tuple[int, ...], count: int) -> np.ndarray:
    """What a model with one input of `shape` is made for."""
    return photographs(shape, count) if len(shape) == 4 else tones(shape[1], count)
