"""A net trained quantization-aware, and how far its file is from it under the reference kernels."""

import int8x
import keras_nets as nets
import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from int8x.keras.handle import handle_of
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(128, 48)
MOVES = (
    "MAX_POOL_2D",
    "PAD",
    "PADV2",
    "RESHAPE",
    "RESIZE_NEAREST_NEIGHBOR",
    "TRANSPOSE",
    "QUANTIZE",
)
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


def steps_of_operators(model, graph, images):
    """(operator, steps by which its results are off) of a file's operators, each fed with the
    fake-quantized model's own integers: what it rounded where the operator ends.
    """
    handle, rounded = handle_of(model), []
    handle.run_watched(images, lambda site, x, y: rounded.append((site, np.asarray(y))))
    seen = [_integers(y, *handle.ranges.constants(site)) for site, y in rounded]
    (source,) = graph.main.inputs
    values = {source: images[:, None] if source.quant is None else _closest(seen, source, None)}
    for op in graph.main.operators:
        came = _alone(graph, op, values)
        (sink,) = op.outputs
        wanted = None if op.kind in MOVES else _closest(seen, sink, came)
        if wanted is not None:
            yield op, np.abs(came - wanted)
        values[sink] = came if wanted is None else wanted  # it only moves values


def _integers(y, scale, zero_point):
    return (scale, zero_point), np.round(y / np.float32(scale)).astype(int) + zero_point


def _closest(seen, tensor, came):
    """The integers on the tensor's grid that are nearest to those that came, the first if none did;
    None where nothing is rounded.
    """
    if tensor.quant is None:
        return None
    grid = np.float32(tensor.quant.scale), tensor.quant.zero_point
    fitting = [
        values.reshape(-1, *tensor.shape)
        for (scale, zero_point), values in seen
        if (np.float32(scale), zero_point) == grid and values[0].size == tensor.size
    ]
    if came is None:
        return fitting[0]
    return min(fitting, key=lambda values: np.abs(values - came).sum(), default=None)


def _alone(graph, op, values):
    """The integers that the reference kernel of one operator gives for each sample."""
    single = graph.copy()
    number = graph.main.operators.index(op)
    (mine,) = single.main.operators = [single.main.operators[number]]
    read = [(a, b) for a, b in zip(op.inputs, mine.inputs, strict=True) if a in values]
    read = list({id(a): (a, b) for a, b in read}.values())
    single.main.inputs, single.main.outputs = [b for _, b in read], mine.outputs
    single.signatures = []
    interpreter = Interpreter(
        model_content=single.to_bytes(), experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    sources, (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for sample in zip(*(values[a] for a, _ in read), strict=True):
        for source, part in zip(sources, sample, strict=True):
            interpreter.set_tensor(source["index"], part.astype(source["dtype"]))
        interpreter.invoke()
        rows.append(interpreter.get_tensor(sink["index"]).astype(int))
    return np.array(rows)
