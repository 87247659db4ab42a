"""A Keras model as a float .tflite: batch 1, BatchNormalization folded, activations fused."""

from __future__ import annotations

import contextlib
import functools
import io
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import keras

from int8x.keras import private, tensorflow_process
from int8x.keras.handle import handle_of
from int8x.keras.handover import hand_over
from int8x.quiet import quiet_stderr

_SHORT = ("float16", "bfloat16")

if TYPE_CHECKING:
    from int8x.quantization.recipe import Recipe
    from int8x.tflite.graph import Graph


def convert(model: keras.Model, markers: bool = False) -> Graph:
    """The float .tflite graph of a Keras model, for batch size 1.

    With `markers` a model trained by QATCallback carries its ranges: each rounded activation as a
    QUANTIZE and DEQUANTIZE pair, weights on their int8 grid. Without, it is the plain float model
    with the trained weights. A model with a mixed-precision policy is converted in float32.

    ValueError when the model is not built, or markers are wanted and there are no learned ranges.

    Example:
        >>> import keras, int8x.keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> int8x.keras.convert(model).save("float.tflite")
    """
    from int8x.tflite.graph import Graph

    if keras.backend.backend() == "jax":
        return tensorflow_process.convert(model, markers)
    return Graph.from_bytes(to_bytes(model, markers))


def convert_trained(model: keras.Model, recipe: Recipe) -> tuple[Graph, Recipe]:
    """The graph of a model that was trained quantization-aware, with ranges and weight grids, and
    the recipe that makes of it what it was trained as.
    """
    if keras.backend.backend() == "jax":
        return tensorflow_process.convert_trained(model, recipe)
    handle = handle_of(model)
    assert handle is not None
    graph = convert(model, markers=True)
    return graph, hand_over(graph, handle, recipe)


def to_bytes(model: keras.Model, markers: bool = False) -> bytes:
    """The same as the bytes of a .tflite file."""
    import tensorflow as tf

    private.check_tensorflow("convert")
    handle = handle_of(model)
    struct = private.input_struct(model)
    if struct is None and handle is not None:
        struct = handle.struct
    if struct is None:
        raise ValueError(
            f"{model.name}: a built model was wanted, got one not called yet: run it once first"
        )
    if markers and (handle is None or handle.ranges is None):
        raise ValueError(
            f"{model.name}: a model trained with QATCallback was wanted, got one without ranges"
        )
    specs = keras.tree.map_structure(lambda t: tf.TensorSpec((1, *t.shape[1:]), t.dtype), struct)
    with contextlib.ExitStack() as stack:
        if handle is not None:
            stack.enter_context(handle.exporting() if markers else handle.plain())
        stack.enter_context(_float32(model))
        return _through_saved_model(model, specs)


def _through_saved_model(model: keras.Model, specs: Any) -> bytes:
    """ExportArchive and TFLiteConverter, the public road; its own errors come through unmasked."""
    import tensorflow as tf

    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", functools.partial(_infer, model), input_signature=[specs])
    told = contextlib.redirect_stdout(io.StringIO())  # the exporter's notes
    with tempfile.TemporaryDirectory() as folder, quiet_stderr(), told:
        archive.write_out(folder, verbose=False)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return converter.convert()


def _infer(model: keras.Model, x: Any) -> Any:
    return model(x, training=False)


@contextlib.contextmanager
def _float32(model: keras.Model) -> Iterator[None]:
    """Within, every layer computes in float32; mixed-precision layers keep float32 weights."""
    changed, casts = [], []
    try:
        for layer in [model, *private.all_layers(model)]:
            policy = layer.dtype_policy
            if policy.compute_dtype in _SHORT:
                if policy.variable_dtype != "float32":
                    raise ValueError(
                        f"{layer.name}: float32 weights were wanted, got {policy.variable_dtype}"
                    )
                changed.append((layer, policy))
                layer.dtype_policy = keras.DTypePolicy("float32")
        # Keras 3.8 and 3.9 write the casts of a mixed-precision model into its graph.
        for operation in private.all_operations(model) if changed else ():
            if type(operation).__name__ == "Cast" and operation.dtype in _SHORT:
                casts.append((operation, operation.dtype))
                operation.dtype = "float32"
        yield
    finally:
        for operation, dtype in casts:
            operation.dtype = dtype
        for layer, policy in changed:
            layer.dtype_policy = policy
