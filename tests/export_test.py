"""int8x.export: the file is the fake-quantized Keras model, scale for scale, weight for weight."""

import json

import int8x
import keras
import keras_nets as nets
import numpy as np
import pytest
import tensorflow as tf
from int8_runs import Reference
from int8x.errors import ModelError, QuantizeError
from int8x.keras import fake_quant, kinds
from int8x.keras.handle import handle_of
from int8x.keras.norms import affine
from keras import layers as L

X, Y, X_TEST, Y_TEST = nets.digits(900, 800)


def train(model, epochs=2, jit=False):
    nets.compiled(model, jit=jit, run_eagerly=not jit)
    model.fit(X[:128], Y[:128], epochs=epochs, verbose=0, callbacks=[int8x.QATCallback()])
    return model


@pytest.fixture(scope="module")
def trained():
    """The residual net with logits, trained on 900 digits."""
    nets.seed()
    model = nets.compiled(nets.residual(16, probabilities=False), learning_rate=4e-3)
    model.fit(X, Y, epochs=12, verbose=0)
    model.optimizer.learning_rate = 5e-4
    model.fit(X, Y, epochs=3, verbose=0, callbacks=[int8x.QATCallback()])
    return model


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "model.int8.tflite"
    return int8x.export(trained, path), path


def kernels(model):
    """Of each layer with a kernel: the int8 steps and scales of training, norms folded."""
    for call in handle_of(model).plan.calls:
        if call.kind != kinds.WEIGHTS:
            continue
        layer, axes = call.operation, kinds.channel_axes(call.operation)
        weight = tf.convert_to_tensor(layer.kernel)
        scale = fake_quant.weight_scale(weight, axes)
        steps = fake_quant.weight_steps(weight, scale).numpy()
        scale = tf.reshape(scale, [-1])
        shape = [size if axis in axes else 1 for axis, size in enumerate(weight.shape)]
        if call.norm is not None:
            factor, _ = affine(call.norm)
            scale = fake_quant.short_scale(scale * tf.abs(factor))
            steps = steps * np.sign(factor.numpy()).reshape(shape)
        yield layer, steps, scale.numpy()


def in_tflite_order(layer, steps):
    if isinstance(layer, L.Dense):
        return steps.T
    if isinstance(layer, L.DepthwiseConv2D):
        return steps.reshape(1, *steps.shape[:2], -1)
    return steps.transpose(3, 0, 1, 2)


def test_int8_weights_and_their_scales_are_those_of_training(trained, exported):
    weighted = [
        op
        for op in exported[0].main.operators
        if op.kind in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    ]
    wanted = list(kernels(trained))
    assert len(weighted) == len(wanted) == 5
    for op, (layer, steps, scales) in zip(weighted, wanted, strict=True):
        assert np.array_equal(op.inputs[1].data, in_tflite_order(layer, steps)), layer.name
        assert np.array_equal(op.inputs[1].quant.scales, scales), layer.name


def test_activation_scales_and_zero_points_are_those_of_training(trained, exported):
    handle = handle_of(trained)
    wanted = [handle.ranges.constants(site) for site in handle.plan.sites()]
    graph = exported[0].main
    grids = [
        graph.inputs[0].quant,
        *(op.outputs[0].quant for op in graph.operators if op.kind != "MAX_POOL_2D"),
    ]
    assert [(np.float32(grid.scale), grid.zero_point) for grid in grids] == [
        (np.float32(s), z) for s, z in wanted
    ]


def test_no_operator_is_left_in_float(exported):
    operators = Reference(exported[1]).operators()
    wanted = "CONV_2D DEPTHWISE_CONV_2D CONV_2D ADD MAX_POOL_2D CONV_2D MEAN FULLY_CONNECTED"
    assert [name for name, _ in operators] == wanted.split()
    assert {kind for _, kind in operators} == {"int8"}


def test_the_file_agrees_with_the_trained_model_on_held_out_digits(trained, exported):
    run = Reference(exported[1])
    steps, wanted = run(X_TEST), trained.predict(X_TEST, verbose=0)
    off = np.abs(steps - run.steps_from(wanted))
    same = (steps.argmax(1) == wanted.argmax(1)).mean()
    accuracies = [(choice.argmax(1) == Y_TEST).mean() for choice in (steps, wanted)]
    print(f"top-1 {same:.4f}, accuracy int8, trained {accuracies}")
    print(f"logits off by 0, 1, 2, ... steps: {np.bincount(off.astype(int).ravel())}")
    assert accuracies[1] >= 0.96
    assert same >= 0.995
    assert abs(accuracies[0] - accuracies[1]) <= 0.005
    assert (off <= 2).mean() >= 0.999
    assert off.max() <= 4


def test_the_same_model_gives_the_same_bytes(trained, exported, tmp_path):
    int8x.export(trained, tmp_path / "again.tflite")
    assert (tmp_path / "again.tflite").read_bytes() == exported[1].read_bytes()


def test_the_recipe_is_written_beside_the_model(exported):
    recipe = json.loads(exported[1].with_name("model.int8.recipe.json").read_text())
    assert recipe["name"] == "int8"


def test_export_leaves_the_model_as_it_was(trained, exported):
    before = trained.predict(X_TEST[:50], verbose=0)
    nets.compiled(trained)
    trained.fit(X[:64], Y[:64], verbose=0, callbacks=[int8x.QATCallback()])  # a fit after export
    assert not np.array_equal(before, trained.predict(X_TEST[:50], verbose=0))


@pytest.mark.filterwarnings("ignore:`build")
@pytest.mark.parametrize("kind", nets.KINDS)
def test_every_kind_of_model_exports_what_it_was_trained_as(kind, tmp_path):
    nets.seed()
    model = train(nets.KINDS[kind]())
    int8x.export(model, tmp_path / "model.tflite")
    run = Reference(tmp_path / "model.tflite")
    assert {output for _, output in run.operators()} == {"int8"}
    off = np.abs(run(X_TEST[:64]) - run.steps_from(model.predict(X_TEST[:64], verbose=0)))
    assert off.max() <= 2
    assert (off == 0).mean() >= 0.9


def test_a_jit_compiled_model_exports_what_it_was_trained_as(tmp_path):
    nets.seed()
    model = train(nets.small(), jit=True)
    int8x.export(model, tmp_path / "model.tflite")
    run = Reference(tmp_path / "model.tflite")
    assert (
        np.abs(run(X_TEST[:64]) - run.steps_from(model.predict(X_TEST[:64], verbose=0))).max() <= 2
    )


def test_after_a_second_fit_the_second_ranges_are_exported(tmp_path):
    nets.seed()
    model = train(nets.small())
    first = int8x.export(model, tmp_path / "first.tflite")
    model.fit(2 * X[:128], Y[:128], epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    second = int8x.export(model, tmp_path / "second.tflite")
    assert second.main.inputs[0].quant.scale > first.main.inputs[0].quant.scale


def test_restored_best_weights_export_with_their_ranges(tmp_path):
    nets.seed()
    model = nets.compiled(nets.small(), run_eagerly=True)
    stop = keras.callbacks.EarlyStopping(
        monitor="loss", mode="max", patience=1, restore_best_weights=True
    )
    model.fit(
        X[:128],
        Y[:128],
        epochs=4,
        verbose=0,
        callbacks=[int8x.QATCallback(freeze_ranges=1.0), stop],
    )
    int8x.export(model, tmp_path / "model.tflite")
    run = Reference(tmp_path / "model.tflite")
    assert (
        np.abs(run(X_TEST[:64]) - run.steps_from(model.predict(X_TEST[:64], verbose=0))).max() <= 2
    )


def test_a_saved_and_loaded_model_exports_the_same_file(tmp_path):
    nets.seed()
    model = train(nets.small())
    int8x.export(model, tmp_path / "a.tflite")
    model.save(tmp_path / "model.keras")
    twin = keras.saving.load_model(tmp_path / "model.keras")
    int8x.keras.attach(twin)
    twin.load_weights(tmp_path / "model.keras")
    graph = int8x.export(twin, tmp_path / "b.tflite")
    first = int8x.Graph.load(tmp_path / "a.tflite")
    for a, b in zip(first.main.operators, graph.main.operators, strict=True):
        assert a.outputs[0].quant.same_grid(b.outputs[0].quant)
    a, b = (Reference(tmp_path / f"{name}.tflite")(X_TEST[:32]) for name in "ab")
    assert np.array_equal(a, b)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_a_mixed_precision_model_exports_in_full_precision(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    try:
        nets.seed()
        model = train(nets.small())
        int8x.export(model, tmp_path / "model.tflite")
        assert all(layer.compute_dtype == policy[6:] for layer in model.layers)
    finally:
        keras.config.set_dtype_policy("float32")
    run = Reference(tmp_path / "model.tflite")
    assert {output for _, output in run.operators()} == {"int8"}
    off = np.abs(
        run(X_TEST[:64]) - run.steps_from(model.predict(X_TEST[:64], verbose=0).astype(np.float32))
    )
    assert (off <= 2).mean() >= 0.95  # the model's own 16-bit arithmetic is off by more than that


def test_a_model_without_ranges_is_calibrated_with_data(tmp_path):
    nets.seed()
    model = nets.compiled(nets.small(), run_eagerly=True)
    model.fit(X[:128], Y[:128], epochs=2, verbose=0)
    graph = int8x.export(model, tmp_path / "model.tflite", data=X[:50])
    assert graph.main.inputs[0].quant.source.startswith("mse of 50")
    wanted = model.predict(X_TEST, verbose=0).argmax(1)
    assert (Reference(tmp_path / "model.tflite")(X_TEST).argmax(1) == wanted).mean() >= 0.97


def test_a_float_tflite_is_calibrated_with_data(tmp_path):
    int8x.keras.convert(nets.small()).save(tmp_path / "float.tflite")
    graph = int8x.export(tmp_path / "float.tflite", tmp_path / "model.tflite", data=X[:20])
    assert {t.dtype for t in (*graph.main.inputs, *graph.main.outputs)} == {"INT8"}


def test_the_recipe_sets_the_type_of_inputs_and_outputs(tmp_path):
    nets.seed()
    graph = int8x.export(train(nets.small()), tmp_path / "model.tflite", recipe={"io": "float"})
    assert graph.main.inputs[0].dtype == "FLOAT32"


def test_learned_ranges_serve_int16_too(trained, tmp_path):
    both = [int8x.export(trained, tmp_path / "m.tflite", recipe=r) for r in ("int8", "int16x8")]
    wide = both[1]
    narrow, grids = (graph.quantization.grids for graph in both)
    assert wide.main.inputs[0].dtype == "INT16"
    for name in (t.name for t in wide.main.tensors if t.dtype == "INT16"):
        assert grids[name].bits == 16 and grids[name].source == narrow[name].source
    weights = [
        [t.data for t in graph.main.tensors if t.dtype == "INT8" and t.is_constant]
        for graph in both
    ]
    assert len(weights[0]) == 5
    for mine, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(mine, other)


@pytest.mark.parametrize("recipe", ["dynamic", "weight_only", "float16"])
def test_recipes_with_float_activations_need_neither_ranges_nor_data(recipe, tmp_path):
    model = nets.residual(16)
    coded = int8x.export(model, tmp_path / "m.tflite", recipe=recipe)
    assert {t.dtype for t in (*coded.main.inputs, *coded.main.outputs)} == {"FLOAT32"}
    assert any(t.dtype in ("INT8", "FLOAT16") for t in coded.main.tensors)


def test_float_conversion_equals_the_plain_model():
    nets.seed()
    model = train(nets.residual())
    interpreter = tf.lite.Interpreter(model_content=int8x.keras.convert(model).to_bytes())
    interpreter.allocate_tensors()
    (source,), (sink,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert tuple(source["shape"]) == (1, 8, 8, 1)
    outputs = []
    for image in X_TEST[:20]:
        interpreter.set_tensor(source["index"], image[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(sink["index"])[0])
    wanted = int8x.keras.strip(model).predict(X_TEST[:20], verbose=0)
    np.testing.assert_allclose(outputs, wanted, atol=1e-5)


def test_a_model_without_ranges_and_data_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"train it with int8x\.QATCallback, or give data"):
        int8x.export(nets.small(), tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_was_never_called_is_refused(tmp_path):
    with pytest.raises(ValueError, match="not called yet"):
        int8x.export(nets.unbuilt_sequential(), tmp_path / "model.tflite", data=X[:4])


def test_raw_operators_without_a_range_are_named_and_calibrated_with_data(tmp_path):
    class Chain(nets.Subclassed):
        def call(self, x, training=None):
            return self.dense(self.flatten(tf.nn.relu(tf.nn.leaky_relu(self.conv(x)) - 1.0)))

    nets.seed()
    model = Chain()
    with pytest.warns(UserWarning, match=r"no range is learned for .*LeakyRelu"):
        train(model)
    with pytest.raises(QuantizeError, match=r"no range is known for .*: give data"):
        int8x.export(model, tmp_path / "model.tflite")
    int8x.export(model, tmp_path / "model.tflite", data=X[:20])
    assert {output for _, output in Reference(tmp_path / "model.tflite").operators()} == {"int8"}


def test_layers_without_an_int8_form_are_named(tmp_path):
    nets.seed()
    model = nets.functional(lambda x: L.Dense(4)(keras.ops.sin(L.Flatten()(x))))
    nets.compiled(model)
    with pytest.warns(UserWarning, match="inside of Sin"):
        model.fit(X[:64], Y[:64] % 4, verbose=0, callbacks=[int8x.QATCallback()])
    with pytest.raises(QuantizeError, match="SIN"):
        int8x.export(model, tmp_path / "model.tflite")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (42, "builtins.int: a Keras model or the path"),
        ("model.onnx", "model.onnx: a float .tflite or a Keras model"),
    ],
)
def test_models_of_other_kinds_are_refused_by_name(model, words, tmp_path):
    with pytest.raises(ModelError) as error:
        int8x.export(model, tmp_path / "model.tflite")
    assert words in str(error.value)


def test_an_unwritable_path_is_refused_before_the_work(tmp_path):
    with pytest.raises(OSError, match="folder"):
        int8x.export(nets.small(), tmp_path / "missing" / "model.tflite", data=X[:4])
    with pytest.raises(OSError, match="folder"):
        int8x.export(nets.small(), tmp_path, data=X[:4])


def test_saved_keras_models_are_converted_and_broken_ones_refused(tmp_path):
    from int8x.exporter import convert

    nets.small().save(tmp_path / "model.keras")
    assert convert(tmp_path / "model.keras").main.operators[0].kind == "CONV_2D"
    (tmp_path / "broken.keras").write_bytes(b"PK nothing")
    with pytest.raises(ModelError, match=r"broken\.keras"):
        convert(tmp_path / "broken.keras")
