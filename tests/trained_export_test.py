"""What QATCallback was asked for is what the file holds: bits, scales, zero points, weights."""

import json

import int8x
import numpy as np
import pytest
from int8x.keras.handle import handle_of
from int8x.keras.handover import trained_kernels
from trained_nets import KINDS, X_TEST, off, steps_of_operators, trained

SETTINGS = {
    "average": {},
    "lsq": {"ranges": "lsq"},
    "per tensor": {"weights": "per_tensor"},
    "per tensor, lsq": {"weights": "per_tensor", "ranges": "lsq"},
    "4-bit weights": {"weight_bits": 4},
    "4-bit weights, lsq": {"weight_bits": 4, "ranges": "lsq"},
    "16-bit activations": {"activation_bits": 16},
    "16-bit activations, lsq": {"activation_bits": 16, "ranges": "lsq"},
}
IN_GRAPHS = ("4-bit weights, lsq", "16-bit activations")  # trained so, the others step by step
# Steps of the output that may lie between file and training. Of int8 and INT4 weights one is each
# operator's own rounding; int16 is 256 times finer, beyond what float32 sums of training hold.
MOST = {16: 8}
EQUAL = 0.99  # of an operator's results


@pytest.mark.parametrize("name", SETTINGS)
def test_the_file_is_the_trained_model(name, tmp_path):
    settings = SETTINGS[name]
    model = trained(eagerly=name not in IN_GRAPHS, **settings)
    graph = int8x.export(model, tmp_path / "model.tflite")
    weighted = [op for op in graph.main.operators if op.kind in KINDS]
    wanted = trained_kernels(handle_of(model))
    assert len(weighted) == len(wanted) == 6
    for op, kernel in zip(weighted, wanted, strict=True):
        axis = 3 if op.kind == "DEPTHWISE_CONV_2D" else 0
        rows = np.moveaxis(op.inputs[1].data, axis, 0)
        assert np.array_equal(rows.reshape(rows.shape[0], -1), kernel.steps), kernel.layer
        np.testing.assert_allclose(op.inputs[1].quant.scales, kernel.scales, rtol=2e-7)
        assert op.inputs[1].dtype == ("INT4" if settings.get("weight_bits") == 4 else "INT8")
        assert len(kernel.scales) == (1 if "weights" in settings else len(kernel.steps))
    bits = settings.get("activation_bits", 8)
    assert {t.dtype for op in graph.main.operators for t in op.outputs} == {f"INT{bits}"}
    handle = handle_of(model)
    grids = {g for site in handle.plan.sites() for g in [handle.ranges.constants(site)]}
    for op in graph.main.operators:
        quant = op.outputs[0].quant
        assert (quant.scale, quant.zero_point) in grids, op
    found = off(model, tmp_path / "model.tflite")
    print(f"off by 0, 1, 2, ...: {np.bincount(found.astype(int).ravel())}")
    assert found.max() <= MOST.get(bits, 2)
    for op, steps in steps_of_operators(model, graph, X_TEST):
        print(op.kind, np.bincount(steps.ravel()))
        if bits == 8:
            assert steps.max() <= 1 and (steps == 0).mean() >= EQUAL, op
    recipe = json.loads((tmp_path / "model.recipe.json").read_text())
    assert recipe["compute"] == handle.settings.compute
