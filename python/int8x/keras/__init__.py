"""Keras 3 models: quantization-aware training in place, and their float .tflite files.

    int8x.keras.attach(model)     instrument a model, for example to load ranges saved with it
    int8x.keras.strip(model)      the plain float model again
    int8x.keras.convert(model)    its float .tflite as an int8x.Graph

Importing this package imports TensorFlow and Keras; importing int8x does not.
"""

from int8x.keras.attach import attach, strip
from int8x.keras.conversion import convert
from int8x.keras.qat import QATCallback

__all__ = ["QATCallback", "attach", "convert", "strip"]
