"""Quantization-aware training of a small Keras 3 CNN, exported and run as full int8.

    python examples/train_digits.py [OUTPUT.tflite]

Needs `pip install '.[keras]'`. Takes some 20 seconds on a laptop.
"""

import sys

import int8x
import keras
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split


def build() -> keras.Model:
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(16, 3, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.DepthwiseConv2D(3, padding="same"),
            layers.ReLU(),
            layers.Conv2D(48, 1, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, padding="same", activation="relu"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, activation="softmax"),
        ]
    )


def main(output: str = "digits.int8.tflite") -> None:
    keras.utils.set_random_seed(0)
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8, 1).astype(np.float32) / 16
    x, x_test, y, y_test = train_test_split(images, labels, test_size=0.3, random_state=0)

    model = build()
    model.compile(keras.optimizers.Adam(3e-3), "sparse_categorical_crossentropy")
    model.fit(x, y, epochs=40, verbose=0)
    model.fit(x, y, epochs=5, verbose=0, callbacks=[int8x.QATCallback()])
    int8x.export(model, output)

    interpreter = int8x.Interpreter(output)
    to_int8 = interpreter.get_input_details()[0]["quantization"]
    correct = 0
    for image, label in zip(x_test, y_test, strict=True):
        q = np.clip(np.round(image[None] / to_int8[0]) + to_int8[1], -128, 127).astype(np.int8)
        correct += int(np.argmax(interpreter(q)) == label)
    print(f"{output}: {correct / len(y_test):.2%} of {len(y_test)} test digits")


if __name__ == "__main__":
    main(*sys.argv[1:])
