"""A tf_keras model as a float .tflite: batch 1, TFMOT's wrappers gone, its ranges as markers."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from int8x.errors import ModelError
from int8x.keras2.baking import bake_weights
from int8x.quiet import quiet_stderr

if TYPE_CHECKING:
    from int8x.tflite.graph import Graph

# What brings the weights of a wrapper of TFMOT up to date, by the name of its class.
_WRAPPERS: dict[str, Callable[[Any], Any]] = {
    "PruneLowMagnitude": lambda layer: layer.pruning_obj.weight_mask_op(),
    "ClusterWeights": lambda layer: layer.update_clustered_weights_associations(),
}


def convert(model: Any) -> Graph:
    """The float .tflite graph of a tf_keras model, for batch size 1.

    What TFMOT put into it is resolved: activations that quantize_model (also PQAT, CQAT, PCQAT)
    rounds carry their ranges as QUANTIZE and DEQUANTIZE pairs, weights lie on the grid they were
    trained on, pruned ones are zero where their masks are, clustered ones hold their centroids.
    Pruned and clustered weights change so in the model too, as TFMOT does it at each step.

    ModelError when the model is not built, or computes in half precision.

    Example:
        >>> model = tfmot.quantization.keras.quantize_model(model)  # then compile and fit
        >>> int8x.keras2.conversion.convert(model).save("float.tflite")
    """
    from int8x.quantization.markers import recover_weight_grids
    from int8x.tflite.graph import Graph

    inputs = getattr(model, "inputs", None)
    if not inputs:
        raise ModelError(
            f"{model.name}: a built tf_keras model was wanted, got one not called yet: run it once"
        )
    computes = getattr(model, "compute_dtype", None) or "float32"
    if computes != "float32":
        raise ModelError(
            f"{model.name}: float32 was wanted, got {computes}: build it with the float32 policy "
            "and load the weights"
        )
    with _unwrapped(model):
        frozen = convert_variables_to_constants_v2(_infer(model, inputs))
    graph = Graph.from_bytes(_to_bytes(bake_weights(frozen)))
    if has_ranges(graph):
        recover_weight_grids(graph)
    return graph


def has_ranges(graph: Graph) -> bool:
    """Whether a converted graph carries ranges of activations."""
    return any(op.kind == "QUANTIZE" for op in graph.main.operators)


def _infer(model: Any, inputs: list[Any]) -> Any:
    """The concrete function of the model's inference."""
    specs = [
        tf.TensorSpec((1, *t.shape[1:]), t.dtype, name=t.name.split(":")[0].replace("/", "_"))
        for t in inputs
    ]

    def infer(*args: Any) -> Any:
        return model(args[0] if len(args) == 1 else list(args), training=False)

    return tf.function(infer, input_signature=specs, autograph=False).get_concrete_function()


@contextlib.contextmanager
def _unwrapped(model: Any) -> Iterator[None]:
    """Within, wrappers that assign weights whenever they are called only call what they wrap."""
    changed = []
    try:
        for layer in model.submodules:
            update = _WRAPPERS.get(type(layer).__name__)
            if update is not None:
                update(layer)
                object.__setattr__(layer, "call", _inner_call(layer.layer))
                changed.append(layer)
        yield
    finally:
        for layer in changed:
            vars(layer).pop("call", None)


def _inner_call(layer: Any) -> Callable[..., Any]:
    takes_training = "training" in inspect.signature(layer.call).parameters

    def call(inputs: Any, training: Any = None, **kwargs: Any) -> Any:
        if takes_training:
            kwargs["training"] = training
        return layer.call(inputs, **kwargs)

    return call


def _to_bytes(function: Any) -> bytes:
    with quiet_stderr():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        return converter.convert()
