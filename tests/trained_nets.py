"""A net trained quantization-aware, and how far its file is from it under the reference kernels."""

import int8x
import keras_nets as nets
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(128, 48)
KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def net():
    def build(x):
        x = L.Conv2D(8, 3, padding="same", use_bias=False, name="a")(x)
        x = skip = L.ReLU()(L.BatchNormalization()(x))
        x = L.ReLU(max_value=6)(L.BatchNormalization()(L.DepthwiseConv2D(3, padding="same")(x)))
        x = L.ReLU()(L.Add(name="add")([skip, L.BatchNormalization()(L.Conv2D(8, 1, name="c")(x))]))
        x = L.SeparableConv2D(12, 3)(L.AveragePooling2D(2)(x))
        x = L.GlobalAveragePooling2D()(L.ReLU()(L.BatchNormalization()(x)))
        return L.Dense(10, name="end")(x)

    return nets.functional(build)


def trained(build=net, epochs=2, eagerly=True, **settings):
    nets.seed()
    model = nets.compiled(build(), learning_rate=5e-3, run_eagerly=eagerly)
    callbacks = [int8x.QATCallback(**settings)]
    model.fit(X, Y, batch_size=16, epochs=epochs, verbose=0, callbacks=callbacks)
    return model


def run(path, images):
    """Integers of the output under the reference kernels, and the output's grid."""
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    (scale, zero_point), limits = source["quantization"], np.iinfo(source["dtype"])
    rows = []
    for image in images:
        steps = np.round(image[None] / np.float32(scale)) + zero_point
        steps = np.clip(steps, limits.min, limits.max).astype(source["dtype"])
        interpreter.set_tensor(source["index"], steps)
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink["index"])[0].astype(int))
    return np.array(rows), sink["quantization"]


def off(model, path):
    steps, (scale, zero_point) = run(path, X_TEST)
    wanted = np.round(model.predict(X_TEST, verbose=0) / np.float32(scale)) + zero_point
    return np.abs(steps - wanted)
