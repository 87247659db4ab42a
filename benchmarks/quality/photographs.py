"""Real pictures from the wheels of scikit-image and scikit-learn, cropped, mirrored and resized.

The two halves share no picture, or, of the one portrait, no crop: calibration reads it as it is,
evaluation mirrored. Faces are also scikit-image's part of "Labeled Faces in the Wild", of other
persons in each half.
"""

import functools
from pathlib import Path

import numpy as np
from quality.environments import wheel

_HALVES = {
    "calibration": (
        "astronaut.png",
        "coffee.png",
        "motorcycle_left.png",
        "rocket.jpg",
        "china.jpg",
    ),
    "evaluation": ("camera.png", "chelsea.png", "flower.jpg", "coins.png", "astronaut.png"),
}
_FACE = (20, 140, 170, 170)  # of astronaut.png: top, left, height, width


@functools.cache
def _picture(name: str) -> np.ndarray:
    """float32 [height, width, 3] in [0, 1]."""
    import sklearn
    import tensorflow as tf

    folders = (
        wheel("skimage") / "skimage" / "data",
        Path(sklearn.__file__).parent / "datasets" / "images",
    )
    path = next(folder / name for folder in folders if (folder / name).exists())
    return tf.io.decode_image(path.read_bytes(), 3, expand_animations=False).numpy() / np.float32(
        255
    )


def _resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    import tensorflow as tf

    return np.clip(tf.image.resize(image, (height, width), antialias=True).numpy(), 0, 1)


def _crop(image: np.ndarray, generator: np.random.Generator, least: float) -> np.ndarray:
    """A random square of at least `least` of the shorter side."""
    height, width = image.shape[:2]
    side = int(min(height, width) * generator.uniform(least, 1))
    top, left = generator.integers(height - side + 1), generator.integers(width - side + 1)
    return image[top : top + side, left : left + side]


def scenes(half: str, count: int, height: int, width: int) -> np.ndarray:
    """Crops of the half's pictures in turn, float32 [count, height, width, 3] in [0, 1]."""
    generator = np.random.default_rng(len(half))
    made = []
    for i in range(count):
        name = _HALVES[half][i % len(_HALVES[half])]
        image = _crop(_picture(name), generator, 0.6)
        mirrored = half == "evaluation" if name == "astronaut.png" else generator.random() < 0.5
        made.append(_resized(image[:, ::-1] if mirrored else image, height, width))
    return np.stack(made)


def persons(half: str, count: int, height: int, width: int) -> np.ndarray:
    """The portrait and (for evaluation) the photographer too, loosely cropped."""
    generator = np.random.default_rng(len(half) + 1)
    made = []
    for i in range(count):
        photographer = half == "evaluation" and i % 2
        image = _picture("camera.png" if photographer else "astronaut.png")
        image = _crop(image, generator, 0.75)
        mirrored = generator.random() < 0.5 if photographer else half == "evaluation"
        made.append(_resized(image[:, ::-1] if mirrored else image, height, width))
    return np.stack(made)


def faces(half: str, count: int, size: int, channels: int = 3) -> np.ndarray:
    """Faces that fill most of the square, [count, size, size, channels] in [0, 1]: every other one
    is the portrait's.
    """
    generator = np.random.default_rng(len(half) + 2)
    small = np.load(wheel("skimage") / "skimage" / "data" / "lfw_subset.npy")[:100]
    small = small[:50] if half == "calibration" else small[50:]
    top, left, height, width = _FACE
    portrait = _picture("astronaut.png")[top : top + height, left : left + width]
    made = []
    for i in range(count):
        if i % 2:
            image = _crop(portrait, generator, 0.8)
            image = image[:, ::-1] if half == "evaluation" else image
        else:
            image = small[i // 2 % len(small)].astype(np.float32)[..., None].repeat(3, axis=2)
            image = image[:, ::-1] if i // 2 >= len(small) else image
        image = _resized(image, size, size)
        made.append(image if channels == 3 else image.mean(axis=2, keepdims=True))
    return np.stack(made).astype(np.float32)
