"""The one file that touches what Keras does not document; it checks the version first.

Everything else in `int8x.keras` uses public Keras names. What is private here: the tracker that
locks a built layer, the walk over all layers of a model, the shapes a subclassed model was built
with, the method by which `fit` gathers an epoch's logs, and that `Operation.__call__` looks up
`self.call` on the instance (so that an instance attribute replaces the class's method without
changing class, name or configuration).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras.src.backend.common.stateless_scope import get_stateless_scope

from int8x.keras import heap
from int8x.keras.attention import AttentionCore

OLDEST = (3, 8)
_CHOOSE = "set KERAS_BACKEND=tensorflow before Keras is imported"
_STEPS = ("train_step", "test_step")
_ORIGINAL = "_int8x_original"  # of a step that was renewed
_GATHER = "_get_metrics_result_or_logs"  # Trainer's method


def check_version(version: str = keras.__version__) -> None:
    """Raises ImportError unless the internals of this Keras are known, 3.8 or later 3.x, and its
    backend is one that int8x trains with.

    >>> check_version("3.15.1")
    """
    parts = version.split(".")
    try:
        number = (int(parts[0]), int(parts[1]))
    except (IndexError, ValueError):
        raise ImportError(f"keras: version must look like 3.15.1, got {version!r}") from None
    if number < OLDEST or number[0] != OLDEST[0]:
        raise ImportError(
            f"keras: Keras {OLDEST[0]}.{OLDEST[1]} or a later 3.x was wanted, got {version}"
        )
    if keras.backend.backend() not in ("tensorflow", "jax"):
        raise ImportError(
            "keras: int8x rounds with TensorFlow's or JAX's operators, the tensorflow or the jax "
            f"backend was wanted, got {keras.backend.backend()!r}; {_CHOOSE}"
        )


def check_tensorflow(what: str) -> None:
    """Raises ImportError naming `what` unless this Keras is known and its backend is TensorFlow."""
    check_version()
    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            f"{what}: the tensorflow backend was wanted, got {keras.backend.backend()!r}; {_CHOOSE}"
        )


class StateLayer(keras.layers.Layer):
    """A sub-layer that holds variables of int8x: saved with its host, never called."""

    def __init__(self, host: str, purpose: str) -> None:
        super().__init__(name=f"{host}_{purpose}", dtype="float32")
        self.built = True


def all_layers(model: keras.Layer) -> list[keras.Layer]:
    """Every layer below the model, nested ones included, each once: without the model itself and
    without what int8x added.
    """
    seen: dict[int, keras.Layer] = {}
    for layer in model._flatten_layers(include_self=False, recursive=True):
        if not isinstance(layer, StateLayer):
            seen.setdefault(id(layer), layer)
    return list(seen.values())


def is_graph(operation: Any) -> bool:
    """Whether it is a Sequential or Functional model: all that it does are calls of others."""
    return isinstance(operation, keras.Sequential) or hasattr(operation, "operations")


def all_operations(model: keras.Layer) -> list[Any]:
    """Every layer below the model, and every operation without a layer (`x + y`) in it."""
    found: dict[int, Any] = {}

    def add(layer: keras.Layer) -> None:
        if id(layer) in found:
            return
        found[id(layer)] = layer
        functional = (
            getattr(layer, "_functional", None) or layer
        )  # a built Sequential holds a Functional
        for operation in getattr(functional, "operations", ()):
            if isinstance(operation, keras.Layer):
                add(operation)
            else:
                found.setdefault(id(operation), operation)

    add(model)
    for layer in all_layers(model):
        add(layer)
    del found[id(model)]
    return [found[key] for key in found]


def input_struct(model: keras.Model) -> Any:
    """What the model's one positional argument looks like: (shape, dtype)s, or None when not built.

    Functional and built Sequential models know their inputs; a built subclassed model knows the
    shape of its first call.
    """
    functional = getattr(model, "_functional", None) or model
    struct = getattr(functional, "_inputs_struct", None)
    if struct is not None:
        return keras.tree.map_structure(lambda t: keras.KerasTensor(t.shape, t.dtype), struct)
    shapes = getattr(model, "_build_shapes_dict", None)
    if not model.built or not shapes or len(shapes) != 1:
        return None
    (shape,) = shapes.values()
    return keras.tree.map_shape_structure(lambda s: keras.KerasTensor(s, "float32"), shape)


def is_patched(operation: Any) -> bool:
    """Whether `call` of this very instance was replaced."""
    owner, name = _method(operation)
    return name in vars(owner)


def patch_call(operation: Any, call: Callable[..., Any]) -> None:
    """Replaces `operation.call` on the instance alone, past Keras's tracking."""
    owner, name = _method(operation)
    object.__setattr__(owner, name, call)


def restore_call(operation: Any) -> None:
    """Takes the replacement away; the class's method is in force again."""
    owner, name = _method(operation)
    vars(owner).pop(name, None)


def _method(operation: Any) -> tuple[Any, str]:
    """The object and the name of the method that an operation is called by."""
    return operation.method if isinstance(operation, AttentionCore) else (operation, "call")


def swap_attribute(layer: keras.Layer, name: str, value: Any) -> Any:
    """Sets an attribute past Keras's tracking and returns the old value."""
    old = getattr(layer, name)
    object.__setattr__(layer, name, value)
    return old


def patch_train_step(model: keras.Model, step: Callable[..., Any] | None) -> None:
    """Replaces `model.train_step` on the instance, or takes the replacement away with None."""
    if step is None:
        vars(model).pop("train_step", None)
    else:
        object.__setattr__(model, "train_step", step)


def patch_compute_loss(model: keras.Model, loss: Callable[..., Any] | None) -> None:
    """Replaces `model.compute_loss` on the instance, or takes the replacement away with None."""
    if loss is None:
        vars(model).pop("compute_loss", None)
    else:
        object.__setattr__(model, "compute_loss", loss)
    reset_functions(model)


def last_operation(model: keras.Layer) -> Any:
    """The operation that makes a model's one output, looked for inside nested models; None when
    there are several or it is not known.
    """
    operation: Any = model
    while isinstance(operation, keras.Model):
        outputs = getattr(getattr(operation, "_functional", None) or operation, "outputs", None)
        if outputs is None or len(outputs) != 1:
            return None
        operation = outputs[0]._keras_history.operation
    return operation


def add_epoch_logs(model: keras.Model, more: Callable[[], dict[str, float]]) -> None:
    """Makes `fit` add values to an epoch's logs when it gathers them, before callbacks see them."""
    gather = getattr(model, _GATHER, None)
    if gather is not None:
        object.__setattr__(model, _GATHER, lambda logs: {**gather(logs), **more()})


def restore_epoch_logs(model: keras.Model) -> None:
    """Takes every addition away."""
    vars(model).pop(_GATHER, None)


def add_sublayer(layer: keras.Layer, name: str, sublayer: keras.Layer) -> None:
    """Tracks a sub-layer on a layer that may already be built and therefore locked."""
    tracker = layer._tracker
    locked = tracker.locked
    tracker.unlock()
    try:
        setattr(layer, name, sublayer)
    finally:
        if locked:
            tracker.lock()


def remove_sublayer(layer: keras.Layer, name: str) -> None:
    """Removes what `add_sublayer` added: variables, files and configuration are as before."""
    sublayer = getattr(layer, name)
    layer._tracker.untrack(sublayer)
    if sublayer in layer._layers:
        layer._layers.remove(sublayer)
    delattr(layer, name)


def scope_of(model: keras.Model) -> Any:
    """The context in which variables of the model are made: its distribution strategy's."""
    strategy = getattr(model, "_distribute_strategy", None)
    return contextlib.nullcontext() if strategy is None else strategy.scope()


def reset_functions(model: keras.Model) -> None:
    """Forgets the traced functions: the next use traces the model as it now is."""
    model.train_function = None
    model.test_function = None
    model.predict_function = None
    _renew_steps(model)


def adopt_variables(model: keras.Model, optimizer: Any) -> None:
    """Makes a built optimizer know every trainable variable of the model, in place; one that
    averages variables, exactly these.

    Keras builds an optimizer once and refuses variables that come later. A new one of the same
    configuration is built, takes over the old one's state by name, and becomes the old object's
    inside: what holds the optimizer holds the same one as before.
    """
    if not optimizer.built:
        return
    wanted, known = model.trainable_variables, list(optimizer._trainable_variables)
    keys = {optimizer._var_key(v) for v in wanted}
    others = [v for v in known if optimizer._var_key(v) not in keys]
    averages = getattr(optimizer, "inner_optimizer", optimizer).use_ema
    if len(wanted) + len(others) == len(known) and not (averages and others):
        return
    # Averages of variables are written back by their places among the trainable ones.
    every = wanted if averages else [*wanted, *others]
    with scope_of(model):
        new = type(optimizer).from_config(optimizer.get_config())
        with keras.name_scope(new.name, caller=new):  # as Keras itself builds it
            new.build(every)
    old = {v.path: v for v in optimizer.variables}
    for variable in new.variables:
        if variable.path in old and old[variable.path].shape == variable.shape:
            variable.assign(old[variable.path])
    inner = getattr(optimizer, "inner_optimizer", None)
    if inner is not None:  # it too stays the same object
        vars(inner).update(vars(new.inner_optimizer))
        object.__setattr__(new, "inner_optimizer", inner)
    vars(optimizer).update(vars(new))


def build_optimizer(model: keras.Model) -> None:
    """Builds the model's optimizer, if it is not, as its first step would: a step that makes no
    variables is traced once and not twice.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None or optimizer.built or not model.built:
        return
    with scope_of(model), keras.name_scope(optimizer.name, caller=optimizer):
        optimizer.build(model.trainable_variables)


def variable_key(optimizer: Any) -> Callable[[Any], Any]:
    """What an optimizer knows a variable by, also by a replica's part of it."""
    return _updating(optimizer)._var_key


def known_variables(optimizer: Any) -> set[Any]:
    """The keys of the variables that a built optimizer knows; none of one that is not built."""
    inner = _updating(optimizer)
    return {inner._var_key(v) for v in inner._trainable_variables} if inner.built else set()


def updates_done(optimizer: Any) -> int:
    """How many steps an optimizer has counted, those that only gather gradients too."""
    return whole(_updating(optimizer)._iterations)


def whole(number: Any) -> int:
    """The value of a variable or tensor of one whole number, under a distribution strategy too."""
    return int(keras.ops.convert_to_numpy(number))


def optimizer_name(optimizer: Any) -> str:
    """The class of the optimizer that makes the updates."""
    return type(_updating(optimizer)).__name__


def slots_of(optimizer: Any, variable: Any) -> dict[str, Any]:
    """What a built optimizer keeps beside a variable, by the name of its list; none of a variable
    that it does not know.
    """
    inner = _updating(optimizer)
    if not inner.built or inner._var_key(variable) not in known_variables(optimizer):
        return {}
    index, count = inner._get_variable_index(variable), len(inner._trainable_variables)
    found = {}
    for name, slots in vars(inner).items():
        if name in ("_variables", "_trainable_variables") or not isinstance(slots, list):
            continue
        if len(slots) == count and isinstance(slots[index], keras.Variable):
            found[name] = slots[index]
    return found


def patch_updates(
    optimizer: Any, factor_of: Callable[[Any], float], first_of: Callable[[Any], int]
) -> None:
    """Replaces how an optimizer updates a variable, on the instance: with `factor_of` its key times
    the learning rate and weight decay, and counting steps from `first_of` its key on.

    Both are asked when a train step is traced.
    """
    inner = _updating(optimizer)
    update, decay = type(inner).update_step, type(inner)._apply_weight_decay
    full = inner.weight_decay

    def update_step(gradient: Any, variable: Any, learning_rate: Any) -> None:
        key = inner._var_key(variable)
        first, counted = first_of(key), inner._iterations
        if first:
            swap_attribute(inner, "_iterations", counted - first)
        try:
            update(inner, gradient, variable, learning_rate * factor_of(key))
        finally:
            swap_attribute(inner, "_iterations", counted)

    def apply_weight_decay(variables: Any) -> None:
        factors = [factor_of(inner._var_key(variable)) for variable in variables]
        if full is None or all(factor == 1 for factor in factors):
            decay(inner, variables)
            return
        try:
            for variable, factor in zip(variables, factors, strict=True):
                # Replicas wait for each other within `decay`, each having set the same.
                swap_attribute(inner, "weight_decay", full * factor)
                decay(inner, [variable])
        finally:
            swap_attribute(inner, "weight_decay", full)

    object.__setattr__(inner, "update_step", update_step)
    object.__setattr__(inner, "_apply_weight_decay", apply_weight_decay)


def _updating(optimizer: Any) -> Any:
    """The optimizer that makes the updates: the one inside a LossScaleOptimizer."""
    return getattr(optimizer, "inner_optimizer", optimizer)


def constants_of(operation: Any) -> list[Any]:
    """The numbers and arrays among the arguments of an operation of a Functional model."""
    found = []
    for node in operation._inbound_nodes:
        flat = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
        found += [one for one in flat if not isinstance(one, keras.KerasTensor)]
    return found


def own_weights(layer: keras.Layer) -> list[Any]:
    """A layer's weights without what int8x added and without random seeds."""
    added = {id(v) for sub in _state_layers(layer) for v in sub.variables}
    return [v for v in layer.weights if id(v) not in added]


def allow_training(container: keras.Layer) -> None:
    """Marks a model or wrapper as trainable and leaves the layers in it as they are."""
    container._trainable = True


def set_trainable(layer: keras.Layer, on: bool) -> None:
    """`layer.trainable = on`, except that what int8x added to it learns when int8x says so."""
    added = [(v, v.trainable) for sub in _state_layers(layer) for v in sub.variables]
    layer.trainable = on
    for variable, trainable in added:
        variable.trainable = trainable


def _state_layers(layer: keras.Layer) -> list[StateLayer]:
    return [
        sub
        for sub in layer._flatten_layers(include_self=False, recursive=True)
        if isinstance(sub, StateLayer)
    ]


def remake_train_function(model: keras.Model) -> None:
    """Traces the train step anew within a fit, which reads `train_function` before each step."""
    reset_functions(model)
    heap.give_back()
    model.make_train_function()


def walk_models(model: keras.Model) -> Iterator[keras.Model]:
    """The model and every model nested in it."""
    yield model
    for layer in all_layers(model):
        if isinstance(layer, keras.Model):
            yield layer


def master_value(variable: Any, otherwise: Any = None) -> Any:
    """The variable's own value, whatever mixed-precision scope is open: what the function that is
    traced was given for it, else what it holds, else `otherwise`.
    """
    scope = get_stateless_scope()
    value = None if scope is None else scope.get_current_value(variable)
    if value is None:
        value = _step.values.get(id(variable), variable._value)
    return keras.ops.convert_to_tensor(otherwise if value is None else value)


def substituted(mapping: list[tuple[Any, Any]]) -> Any:
    """The context in which variables have other values, and all others those that the function
    which is traced was given.
    """
    scope, inner = get_stateless_scope(), keras.StatelessScope(state_mapping=mapping)
    if scope is not None:
        inner.state_mapping = {**scope.state_mapping, **inner.state_mapping}
    return inner


class _Step(threading.local):
    """The values by id of variables in the train step that this thread traces."""

    def __init__(self) -> None:
        self.values: dict[int, Any] = {}


_step = _Step()


def _renew_steps(model: keras.Model) -> None:
    """On JAX, makes the model's steps new functions, with which `master_value` knows the variables
    also in the optimizer, whose constraints are given those alone that it updates.

    jax.jit keeps what it traced by function, and a method of one object is one function: without
    this a step that is asked for anew would be the old one.
    """
    for name in _STEPS if keras.backend.backend() == "jax" else ():
        now = getattr(model, name)
        original = getattr(now, _ORIGINAL, now)

        def step(state: Any, data: Any, original: Callable[..., Any] = original) -> Any:
            _step.values = dict(zip(map(id, model.non_trainable_variables), state[1], strict=True))
            try:
                return original(state, data)
            finally:
                _step.values = {}

        setattr(step, _ORIGINAL, original)
        object.__setattr__(model, name, step)


def restore_steps(model: keras.Model) -> None:
    """Takes back what resetting functions did to the steps of a model on JAX."""
    for name in _STEPS:
        original = getattr(vars(model).get(name), _ORIGINAL, None)
        if original is not None:
            vars(model).pop(name)
            if getattr(model, name) != original:  # an instance's own
                object.__setattr__(model, name, original)


def sync_variables(model: keras.Model) -> None:
    """Within a fit on JAX, writes the state of its steps to the variables, which are empty until
    then; the next step reads them. Elsewhere they always hold it.
    """
    if keras.backend.backend() == "jax":
        model.jax_state_sync()
