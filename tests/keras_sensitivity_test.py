"""scope="sensitivity": layers are pruned as much as costs least, and together exactly as asked."""

import itertools

import keras
import keras_nets as nets
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from int8x.keras import PolynomialDecay, PruningCallback
from int8x.keras.patterns import Pattern
from int8x.keras.prunable import kernels_of
from int8x.keras.sensitivity import Curve, allocate, measure
from keras import layers as L

X, Y, X_TEST, _ = nets.digits(256, 64)
SAMPLES = (X[:128], Y[:128])


def net():
    """Two layers of 1024 weights: `whole` sees the digits, `border` their first column, which is
    black but for a few pixels.
    """

    def build(x):
        whole = L.Dense(16, activation="relu", name="whole")(L.Flatten()(x))
        column = L.Flatten()(L.Cropping2D(((0, 0), (0, 7)))(x))
        border = L.Dense(128, activation="relu", name="border")(column)
        return L.Dense(10, name="end")(L.Concatenate()([whole, border]))

    nets.seed()
    return nets.compiled(nets.functional(build), learning_rate=5e-3)


@pytest.fixture(scope="module")
def trained():
    model = net()
    model.fit(X, Y, batch_size=32, epochs=15, verbose=0)
    return model.get_weights()


def zeros(model):
    found = {k.layer.name: k.value() == 0 for k in kernels_of(model)}
    return {name: (int(mask.sum()), mask.size) for name, mask in found.items()}


@pytest.mark.parametrize("block", [None, (1, 4)])
@pytest.mark.parametrize("schedule", ["polynomial", "constant", "callable"])
def test_a_sensitive_layer_keeps_more_and_the_target_holds_exactly(trained, block, schedule):
    model = net()
    model.set_weights(trained)
    asked = {"sparsity": 0.75, "schedule": schedule}
    if schedule == "callable":
        asked = {"schedule": PolynomialDecay(0.0, 0.75, 0, 10, frequency=5)}
    pruning = PruningCallback(
        block=block, scope="sensitivity", samples=SAMPLES, exclude="end", **asked
    )
    model.fit(X, Y, batch_size=32, epochs=2, verbose=0, callbacks=[pruning])
    found = zeros(model)
    assert found["whole"][0] + found["border"][0] == 0.75 * 2048
    assert found["whole"][0] < 0.65 * 1024
    assert found["end"][0] == 0
    assert set(pruning.sensitivity) == {"whole", "border"}
    assert pruning.sensitivity["whole"][0.5] > pruning.sensitivity["border"][0.5]


def test_measuring_leaves_the_model_as_it_was(trained):
    model = net()
    model.set_weights(trained)
    kernels = kernels_of(model)
    curves = measure(model, kernels, Pattern(), SAMPLES)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), trained, strict=True))
    batches = [(X[i : i + 64], Y[i : i + 64]) for i in (0, 64)]
    again = measure(model, kernels, Pattern(), _Batches(batches))
    for one, two in zip(curves, again, strict=True):
        assert one.off == two.off
        np.testing.assert_allclose(one.increase, two.increase, rtol=1e-3, atol=1e-4)
        assert list(one.increase) == sorted(one.increase)


class _Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def test_zeros_that_are_there_cost_nothing(trained):
    model = net()
    model.set_weights(trained)
    kernel = model.get_layer("whole").kernel
    value = kernel.numpy()
    value[:32] = 0
    kernel.assign(value)
    (curve,) = measure(model, kernels_of(model)[:1], Pattern(), SAMPLES)
    assert curve.by_share()[0.5] == 0 < curve.by_share()[0.875]


@st.composite
def curves(draw):
    """Convex ones, with a point for every count."""
    found = []
    for number in range(draw(st.integers(1, 3))):
        units = draw(st.integers(2, 5))
        steps = sorted(draw(st.lists(st.integers(0, 9), min_size=units - 1, max_size=units - 1)))
        increase = tuple(float(v) for v in itertools.accumulate([0, *steps]))
        found.append(Curve(f"layer{number}", units, tuple(range(units)), increase))
    return found


@given(curves())
def test_the_allocation_costs_least_holds_the_count_and_only_grows(layers):
    room = sum(curve.units - 1 for curve in layers)
    before = [0] * len(layers)
    for count in range(room + 1):
        chosen = allocate(layers, count)
        assert sum(chosen) == count
        assert all(a <= b for a, b in zip(before, chosen, strict=True))
        costs = [
            sum(curve.increase[n] for curve, n in zip(layers, split, strict=True))
            for split in itertools.product(*(range(curve.units) for curve in layers))
            if sum(split) == count
        ]
        cost = sum(curve.increase[n] for curve, n in zip(layers, chosen, strict=True))
        assert cost == min(costs)
        before = chosen
    with pytest.raises(ValueError, match=f"at most {room} units"):
        allocate(layers, room + 1)


def test_a_loss_that_is_no_number_goes_last():
    broken = Curve("a", 5, (0, 2, 4), (0.0, 0.1, float("inf")))
    assert allocate([broken, Curve("b", 5, (0, 4), (0.0, 100.0))], 6) == [2, 4]


@pytest.mark.parametrize(
    "arguments, told",
    [
        ({"scope": "sensitivity"}, "go together, got scope 'sensitivity' without samples"),
        ({"samples": SAMPLES}, "go together, got scope 'layer' with samples"),
        ({"scope": "sensitivity", "samples": SAMPLES, "pattern": "2:4"}, "nothing to choose"),
        ({"scope": "sensitivity", "samples": SAMPLES, "sparsity": {"a": 0.5}}, "one sparsity"),
        ({"scope": "model"}, "scope must be 'layer', 'global' or 'sensitivity', got 'model'"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments, told):
    with pytest.raises(ValueError, match=told):
        PruningCallback(**arguments)
