"""Networks that keras.applications does not have: EfficientNet-Lite0, a U-Net, a small vision
transformer, and the fully connected autoencoder of MLPerf Tiny. Each function gives an untrained
Keras model of batch 1.
"""

from typing import Any


def _layers() -> Any:
    import keras

    return keras.layers


def _start(shape: tuple[int, ...]) -> Any:
    import keras

    return keras.Input(shape, batch_size=1)


def _normalized(x: Any, activation: str | None) -> Any:
    layers = _layers()
    x = layers.BatchNormalization()(x)
    return layers.Activation(activation)(x) if activation else x


def _convolution(x: Any, filters: int, kernel: int, strides: int, activation: str | None) -> Any:
    layer = _layers().Conv2D(filters, kernel, strides=strides, padding="same", use_bias=False)
    return _normalized(layer(x), activation)


def efficientnet_lite0(shape: tuple[int, int, int] = (224, 224, 3), classes: int = 1000) -> Any:
    """EfficientNet-Lite0: B0's inverted residuals with RELU6, no squeeze-and-excite (Tan and
    Le 2019, arXiv:1905.11946).
    """
    import keras

    layers = _layers()
    inputs = _start(shape)
    x = _convolution(inputs, 32, 3, 2, "relu6")
    stages = ((1, 3, 1, 16, 1), (2, 3, 2, 24, 6), (2, 5, 2, 40, 6), (3, 3, 2, 80, 6))
    stages += ((3, 5, 1, 112, 6), (4, 5, 2, 192, 6), (1, 3, 1, 320, 6))
    for repeats, kernel, strides, filters, expansion in stages:
        for number in range(repeats):
            before, step = x, strides if number == 0 else 1
            if expansion > 1:
                x = _convolution(x, before.shape[-1] * expansion, 1, 1, "relu6")
            depthwise = layers.DepthwiseConv2D(kernel, step, padding="same", use_bias=False)
            x = _normalized(depthwise(x), "relu6")
            x = _convolution(x, filters, 1, 1, None)
            if number:
                x = layers.Add()([before, x])
    x = _convolution(x, 1280, 1, 1, "relu6")
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def unet(shape: tuple[int, int, int] = (128, 128, 3), filters: int = 16) -> Any:
    """Three levels down and up, transposed convolutions, concatenations (Ronneberger et al. 2015,
    arXiv:1505.04597).
    """
    import keras

    layers = _layers()
    x = inputs = _start(shape)
    skips = []
    for level in range(3):
        for _ in range(2):
            x = _convolution(x, filters << level, 3, 1, "relu")
        skips.append(x)
        x = layers.MaxPooling2D()(x)
    for _ in range(2):
        x = _convolution(x, filters << 3, 3, 1, "relu")
    for level in reversed(range(3)):
        x = layers.Conv2DTranspose(filters << level, 2, strides=2, padding="same")(x)
        x = layers.Concatenate()([skips[level], x])
        for _ in range(2):
            x = _convolution(x, filters << level, 3, 1, "relu")
    return keras.Model(inputs, layers.Conv2D(2, 1)(x))


def vision_transformer(shape: tuple[int, int, int] = (96, 96, 3), width: int = 128) -> Any:
    """Patches of 8 x 8, two blocks of attention and MLP (Dosovitskiy et al. 2020,
    arXiv:2010.11929).
    """
    import keras

    layers = _layers()
    inputs = _start(shape)
    x = layers.Conv2D(width, 8, strides=8)(inputs)
    tokens = (shape[0] // 8) * (shape[1] // 8)
    x = layers.Reshape((tokens, width))(x)
    for _ in range(2):
        y = layers.LayerNormalization()(x)
        x = layers.Add()([x, layers.MultiHeadAttention(4, width // 4)(y, y)])
        y = layers.LayerNormalization()(x)
        y = layers.Dense(4 * width, activation="gelu")(y)
        x = layers.Add()([x, layers.Dense(width)(y)])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def fc_autoencoder(shape: tuple[int, ...] = (640,)) -> Any:
    """Anomaly detection of MLPerf Tiny: nine layers of 128 units around a neck of 8."""
    import keras

    layers = _layers()
    x = inputs = _start(shape)
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(x)))
    return keras.Model(inputs, layers.Dense(shape[0])(x))
