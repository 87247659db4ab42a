"""The nets of MLPerf Tiny in their own shapes, trained on tasks that fit on a small machine.

Image classification: Fashion-MNIST, padded to 32x32 and three channels. Person detection: ankle
boots, sneakers and sandals against all else, enlarged to 96x96. Keyword spotting: Fashion-MNIST as
49 frames of 10 features. Anomaly detection: frames of synthesised music (five of 128 mel bands)
against the same music with a whistle.
"""

import sys
from collections.abc import Callable
from typing import Any

import networks
import numpy as np
from quality import fashion, music
from quality.case import Case, Outputs, Task, accuracy
from quality.training import fit_classes, trained

_TRAINING_IMAGES = 10000
_SHOES = (5, 7, 9)
_WHISTLE = 3137.0
_THIS = sys.modules[__name__]


def _resized(x: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    import tensorflow as tf

    parts = [tf.image.resize(part, (height, width), antialias=True) for part in np.split(x, 10)]
    return np.concatenate(parts).repeat(channels, axis=3)


def _logits(build: Callable[[], Any], shape: tuple[int, int, int]) -> Any:
    """The net for any batch, without its last softmax."""
    import keras

    net = build()
    net.layers[-1].activation = keras.activations.linear
    inputs = keras.Input(shape)
    return keras.Model(inputs, net(inputs))


def _images(shape: tuple[int, int, int], count: int, part: str) -> tuple[np.ndarray, np.ndarray]:
    x, y, x_test, y_test = fashion.images()
    x, y = (x[:count], y[:count]) if part == "train" else (x_test[:count], y_test[:count])
    return _resized(x, *shape), y


def _fashion(
    name: str,
    build: Callable[[], Any],
    shape: tuple[int, int, int],
    epochs: int,
    relabel: Callable[[np.ndarray], np.ndarray] = lambda y: y,
) -> Callable[[], Case]:
    def net() -> Any:
        return _logits(build, shape)

    def train(model: Any) -> None:
        _follow_quickly(model)
        x, y = _images(shape, _TRAINING_IMAGES, "train")
        fit_classes(model, x, relabel(y), epochs)

    def make() -> Case:
        from int8x.keras.conversion import to_bytes

        how = f"{name} {_TRAINING_IMAGES} images, {epochs} epochs, statistics of 10 batches"
        model = trained(name, networks, how, net, train)
        calibration, _ = _images(shape, fashion.CALIBRATION_SAMPLES, "train")
        evaluation, labels = _images(shape, 2000, "test")
        task = accuracy(relabel(labels))
        return Case(f"tiny_{name}", to_bytes(model), calibration, evaluation, task, keras=model)

    return make


def _follow_quickly(model: Any) -> None:
    """BatchNormalization's statistics reach back 10 batches, not 100: training has 160 to 320."""
    import keras

    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.9


def _shoes(y: np.ndarray) -> np.ndarray:
    return np.isin(y, _SHOES).astype(np.int64)


def _mel_frames(count: int, seed: int, whistle: float = 0) -> np.ndarray:
    """Log energies of five neighbouring frames in 128 bands, [count, 640], near [-1, 1].

    `whistle` is the amplitude of a tone at _WHISTLE Hz, which no instrument of the music plays.
    """
    from scipy.signal import stft

    sound = music.clips(-(-count // 40), 2 * music.RATE, seed)
    sound = sound + whistle * np.sin(2 * np.pi * _WHISTLE / music.RATE * np.arange(sound.shape[1]))
    frequencies, _, spectra = stft(sound, music.RATE, nperseg=1024, noverlap=512)
    mels = 2595 * np.log10(1 + frequencies / 700)
    centres = np.linspace(0, mels[-1], 130)
    distance = np.abs(mels[None, :] - centres[1:-1, None]) / (centres[1] - centres[0])
    energies = np.einsum("mf,cft->ctm", np.maximum(1 - distance, 0), np.abs(spectra) ** 2)
    levels = np.log10(energies + 1e-6) / 3 + 1
    windows = [clip[i : i + 5].reshape(640) for clip in levels for i in range(0, 80, 2)]
    return np.stack(windows[:count]).astype(np.float32)


def autoencoder() -> Any:
    """640 inputs, four layers of 128, 8 in the middle, and back: anomaly detection."""
    import keras
    from keras import layers

    inputs = x = keras.Input((640,))
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = layers.Dense(units, use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization()(x))
    return keras.Model(inputs, layers.Dense(640)(x))


def _train_autoencoder(model: Any) -> None:
    x = _mel_frames(20000, seed=10)
    model.compile("adam", "mse")
    model.fit(x, x, batch_size=256, epochs=8, verbose=2)


def _anomalies() -> Case:
    """Score: the area under the ROC curve of the reconstruction's error, in percent."""
    from int8x.keras.conversion import to_bytes

    model = trained("autoencoder", _THIS, "8 epochs", autoencoder, _train_autoencoder)
    normal, strange = _mel_frames(1000, seed=11), _mel_frames(1000, seed=11, whistle=0.3)
    samples = np.concatenate([normal, strange])

    def area(outputs: Outputs, _: Outputs) -> float:
        errors = ((outputs[0] - samples) ** 2).mean(axis=1)
        ranks = errors.argsort().argsort()[len(normal) :] + 1
        wins = ranks.sum() - len(strange) * (len(strange) + 1) / 2
        return 100 * float(wins) / (len(normal) * len(strange))

    calibration = _mel_frames(fashion.CALIBRATION_SAMPLES, seed=13)
    return Case(
        "tiny_autoencoder", to_bytes(model), calibration, samples, Task("ROC area %", area), model
    )


CASES: dict[str, Callable[[], Case]] = {
    "tiny_resnet_8": _fashion("resnet_8", networks.resnet_8, (32, 32, 3), 4),
    "tiny_mobilenet_v1": _fashion(
        "mobilenet_v1", networks.mobilenet_v1_quarter, (96, 96, 3), 2, _shoes
    ),
    "tiny_ds_cnn": _fashion("ds_cnn", networks.ds_cnn, (49, 10, 1), 4),
    "tiny_autoencoder": _anomalies,
}
