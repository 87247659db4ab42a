"""Where a model's tensors are rounded: the plan made from one recorded run."""

import keras
import keras_nets as nets
import pytest
import tensorflow as tf
from int8x.keras import kinds, private
from int8x.keras.handle import attach, handle_of
from int8x.keras.patterns import parse_pattern
from int8x.keras.plan import make_plan
from int8x.keras.prunable import choose
from int8x.keras.trace import record
from keras import layers as L


def plan_of(model):
    return make_plan(record(model, private.input_struct(model)))


def rounded(plan):
    """Names of the operations whose output is rounded."""
    return [call.operation.name for call in plan.calls if call.outputs]


def test_a_convolution_with_batchnorm_and_relu_rounds_once_after_the_relu():
    plan = plan_of(
        nets.functional(
            lambda x: L.ReLU(name="r")(L.BatchNormalization(name="b")(L.Conv2D(4, 3, name="c")(x)))
        )
    )
    assert rounded(plan) == ["r"]
    assert plan.calls[0].norm.name == "b"
    assert plan.calls[1].folds_into is plan.calls[0]


def test_an_output_read_twice_is_rounded_before_its_relu():
    def build(x):
        x = L.Conv2D(4, 3, padding="same", name="c")(x)
        return L.Add(name="a")([L.ReLU(name="r")(x), x])

    assert rounded(plan_of(nets.functional(build))) == ["c", "r", "a"]


def test_an_add_before_a_relu_is_fused():
    def build(x):
        return L.ReLU(name="r")(
            L.Add(name="a")([L.Conv2D(4, 3, name="c")(x), L.Conv2D(4, 3, name="d")(x)])
        )

    assert rounded(plan_of(nets.functional(build))) == ["c", "d", "r"]


def test_pooling_reshape_and_padding_share_the_range_before_them():
    def build(x):
        x = L.Conv2D(4, 3, name="c")(x)
        return L.Flatten(name="f")(L.ZeroPadding2D(name="z")(L.MaxPooling2D(name="m")(x)))

    assert rounded(plan_of(nets.functional(build))) == ["c"]


def test_average_pooling_rounds_to_the_grid_of_its_input():
    plan = plan_of(
        nets.functional(lambda x: L.AveragePooling2D(2, name="p")(L.Conv2D(4, 3, name="c")(x)))
    )
    conv, pool = (call.outputs[0] for call in plan.calls)
    assert pool.group == conv.group
    assert conv.observe and not pool.observe


def test_concatenation_puts_all_sides_in_one_group():
    def build(x):
        return L.Concatenate(name="cat")([L.Conv2D(2, 3, name="c")(x), L.Conv2D(3, 3, name="d")(x)])

    plan = plan_of(nets.functional(build))
    assert rounded(plan) == ["c", "d"]
    assert len({call.outputs[0].group for call in plan.calls[:2]}) == 1


def test_concatenation_with_a_fixed_grid_rounds_its_own_output():
    def build(x):
        return L.Concatenate(name="cat")(
            [L.Conv2D(2, 3, activation="sigmoid")(x), L.Conv2D(3, 3)(x)]
        )

    plan = plan_of(nets.functional(build))
    assert plan.calls[0].outputs[0].fixed == (1 / 256, -128)
    assert plan.calls[2].outputs[0].fixed is None


@pytest.mark.parametrize(("name", "grid"), kinds.FIXED_GRIDS[8].items())
def test_softmax_sigmoid_and_tanh_have_tflites_grid_and_a_rounded_input(name, grid):
    plan = plan_of(nets.functional(lambda x: L.Dense(4, activation=name)(L.Flatten()(x))))
    dense = plan.calls[-1]
    assert dense.inner is not None and dense.inner.fixed is None
    assert dense.outputs[0].fixed == grid
    assert not dense.outputs[0].observe


def test_probabilities_at_the_models_end_are_not_rounded_in_training_but_gates_inside_are():
    def build(x):
        x = L.Conv2D(4, 3)(x)
        gate = L.Dense(4, activation="sigmoid", name="gate")(L.GlobalAveragePooling2D()(x))
        x = L.Multiply()([x, L.Reshape((1, 1, 4))(gate)])
        return L.Dense(3, activation="softmax", name="end")(L.Flatten()(x))

    by_name = {call.operation.name: call for call in plan_of(nets.functional(build)).calls}
    assert by_name["gate"].outputs[0].in_training
    assert not by_name["end"].outputs[0].in_training


def test_dropout_is_transparent_and_not_reported():
    plan = plan_of(nets.functional(lambda x: L.Dense(4)(L.Dropout(0.5)(L.Flatten()(x)))))
    assert plan.unranged == []
    assert rounded(plan)[0].startswith("dense")


def test_a_shared_layer_has_one_range_for_each_call():
    plan = plan_of(nets.shared())
    conv = [
        call.outputs[0]
        for call in plan.calls
        if call.operation.name.startswith("conv2d") and call.kind == kinds.WEIGHTS
    ]
    assert [site.name for site in conv] == ["output0_0", "output0_0", "output1_0"]
    assert len({site.group for site in conv}) == 3


def test_operators_without_a_layer_are_rounded_and_kept_at_the_layer_before():
    def build(x):
        x = L.Conv2D(4, 3, name="c")(x) + L.Conv2D(4, 3, name="d")(x)
        return keras.ops.relu(x)

    plan = plan_of(nets.functional(build))
    site = plan.calls[-1].outputs[0]
    assert site.host.name in ("c", "d")
    assert [bool(call.outputs) for call in plan.calls] == [True, True, False, True]


def test_raw_operators_are_rounded_where_a_layer_reads_them():
    model = nets.RawOperators()
    model(nets.digits(1)[0])
    plan = plan_of(model)
    dense = plan.calls[-1]
    assert dense.inputs[0].host.name == dense.operation.name
    assert plan.outputs[0].name == "model_output0"
    assert plan.unranged == []


def test_raw_operators_between_raw_operators_are_named():
    import tensorflow as tf

    class Chain(nets.Subclassed):
        def call(self, x, training=None):
            return self.dense(self.flatten(tf.nn.relu(tf.sin(self.conv(x)))))

    model = Chain()
    model(nets.digits(1)[0])
    assert len(plan_of(model).unranged) == 1
    assert plan_of(model).unranged[0].startswith("Sin ")


def test_an_unknown_layer_is_named():
    plan = plan_of(nets.functional(lambda x: L.Dense(4)(L.UnitNormalization(1, name="un")(x))))
    assert plan.unranged == ["the inside of UnitNormalization 'un'"]


def test_an_unknown_inside_of_an_activation_is_named():
    body = nets.functional(
        lambda x: L.Activation("celu", name="b")(L.Dense(4, activation="celu", name="a")(x))
    )
    assert plan_of(body).unranged == [
        "the inside of celu in Dense 'a'",
        "the inside of celu in Activation 'b'",
    ]


@pytest.mark.parametrize("activation", [tf.nn.relu6, tf.nn.swish, tf.identity, "hard_sigmoid"])
def test_an_activation_that_is_known_has_no_unknown_inside(activation):
    body = nets.functional(lambda x: L.Dense(4, activation=activation)(L.Activation(activation)(x)))
    assert plan_of(body).unranged == []


class Gain(L.Layer):
    """A layer of one operator: its result is rounded, and it has no inside."""

    def build(self, shape):
        self.gain = self.add_weight(shape=shape[-1:], initializer="ones")

    def call(self, x):
        return x * self.gain


def test_a_layer_of_one_operator_has_no_inside():
    plan = plan_of(nets.functional(lambda x: L.Dense(4)(Gain()(L.Dense(5)(L.Flatten()(x))))))
    assert plan.unranged == []
    assert [call.kind for call in plan.calls][-2] == kinds.FREE


class Sample(L.Layer):
    """A variational autoencoder's: noise in training alone."""

    def call(self, pair, training=False):
        mean, spread = pair
        return mean + spread * keras.random.normal(keras.ops.shape(mean)) if training else mean


def test_a_layer_that_hands_on_one_of_its_tensors_has_no_inside():
    def body(x):
        x = L.Flatten()(x)
        return L.Dense(4)(Sample()([L.Dense(3)(x), L.Dense(3)(x)]))

    assert plan_of(nets.functional(body)).unranged == []


def test_sums_of_three_are_rounded_on_the_way():
    plan = plan_of(nets.functional(lambda x: L.Add()([L.Conv2D(2, 3)(x) for _ in range(3)])))
    assert len(plan.calls[-1].partial) == 1


def test_recurrent_layers_are_refused_by_name():
    model = nets.functional(lambda x: L.LSTM(4, name="memory")(L.Reshape((8, 8))(x)))
    with pytest.raises(ValueError, match=r"memory|lstm_cell"):
        plan_of(model)


def _with_lora():
    layer = L.Dense(4, name="adapted")
    model = nets.functional(lambda x: layer(L.Flatten()(x)))
    layer.enable_lora(2)
    return model, "adapted", "LoRA is enabled"


def _quantized():
    model = nets.functional(lambda x: L.Dense(4, name="small")(L.Flatten()(x)))
    model.quantize("int8")
    return model, "small", "Keras has quantized it (int8)"


def _channels_first():
    first = L.Conv2D(4, 1, data_format="channels_first", name="first")
    return nets.functional(first), "first", "TFLite has channels last"


@pytest.mark.parametrize("make", [_with_lora, _quantized, _channels_first])
def test_layers_without_a_plain_kernel_are_refused_by_name_or_stay_in_float(make):
    model, name, words = make()
    with pytest.raises(ValueError) as error:
        attach(model)
    assert f"{name!r}: {words}" in str(error.value)
    assert handle_of(model) is None
    assert not any(private.is_patched(operation) for operation in private.all_operations(model))
    attach(model, exclude=(name,))


@pytest.mark.parametrize("make", [_with_lora, _quantized])
def test_a_layer_without_a_plain_kernel_is_not_pruned_and_it_is_said_why(make):
    model, name, words = make()
    with pytest.raises(ValueError) as error:
        choose(model, parse_pattern(None, None), ())
    assert f"{name}: {words}" in str(error.value)


def test_recording_leaves_no_trace():
    model = nets.residual()
    before = [v.path for v in model.variables]
    plan_of(model)
    assert not any(private.is_patched(operation) for operation in private.all_operations(model))
    assert [v.path for v in model.variables] == before
    assert model.losses == []
