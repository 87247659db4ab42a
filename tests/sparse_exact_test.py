"""Pruned CONV_2D and FULLY_CONNECTED equal the reference bit for bit, on every instruction set and
thread count; the delegate's option decides what runs sparse, or the cost table does.
"""

import archs
import cases_weights
import int8x
import numpy as np
import pytest
from exactness import assert_exact, difference, reference_outputs, run
from operator_cases import CASES
from operator_models import ACTIVATIONS, PADDINGS, ModelBuilder

pytest_plugins = ("arch_report",)

OPERATORS = {"CONV_2D": cases_weights.conv_2d, "FULLY_CONNECTED": cases_weights.fully_connected}
# Size, input channels, kernel and output channels of layers that threads share by pixels or by
# channels.
SMALL = ((8, 64, 3, 64), (6, 128, 1, 128), (3, 256, 1, 248), (12, 64, 1, 64), (7, 128, 3, 72))


@pytest.mark.parametrize("arch", archs.on_this_cpu())
@pytest.mark.parametrize("operator", OPERATORS)
def test_pruned_operators_equal_the_reference(operator, arch):
    assert_exact(OPERATORS[operator](150, prune=True), arch=arch, sparse="on")


@pytest.mark.parametrize("sparse", ["auto", "off"])
@pytest.mark.parametrize("operator", OPERATORS)
def test_pruned_operators_equal_the_reference_whatever_is_chosen(operator, sparse):
    assert_exact(OPERATORS[operator](80, prune=True), sparse=sparse)


@pytest.mark.parametrize("operator", OPERATORS)
def test_dense_operators_equal_the_reference_when_sparse_is_forced(operator):
    assert_exact(CASES[operator](150), sparse="on")


def layer(kept: float, size: int = 14, depth: int = 256, kernel: int = 1, outputs: int = 256):
    """A pointwise or KxK convolution that keeps this share of its 1x4 blocks."""
    rng = np.random.default_rng(5)
    weights = rng.integers(1, 128, (outputs, kernel, kernel, depth // 4, 4))
    weights *= (rng.random(weights.shape[:-1]) < kept)[..., None]
    model = ModelBuilder()
    x = model.input((1, size, size, depth), scale=0.1, zero_point=3)
    w = model.constant(weights.reshape(outputs, kernel, kernel, depth), np.int8, scale=0.01, axis=0)
    b = model.constant(np.zeros(outputs), np.int32, scale=0.001)
    y = model.tensor((1, size, size, outputs), scale=1.0, zero_point=0)
    model.operator(
        "CONV_2D",
        [x, w, b],
        [y],
        strideH=1,
        strideW=1,
        dilationHFactor=1,
        dilationWFactor=1,
        padding=PADDINGS["SAME"],
        fusedActivationFunction=ACTIVATIONS["NONE"],
    )
    return model.finish([y])


def kernel_of(model: bytes, **options) -> str:
    (step,) = int8x.Interpreter(model, options=options).claims.steps
    return step.kernel


def test_the_option_decides_what_runs_sparse():
    for model in (layer(0.25), layer(1.0)):
        assert kernel_of(model, sparse="on").startswith("sparse_")
        assert kernel_of(model, sparse="off").startswith("gemm_")


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("arch", [a for a in archs.on_this_cpu() if a != "avx512amx"])
def test_the_cost_table_takes_few_blocks_sparse_and_many_dense(arch, kernel):
    few, many = (kernel_of(layer(kept, kernel=kernel), arch=arch) for kept in (0.1, 0.9))
    assert many.startswith("gemm_")
    # No sparse kernel of its own: plain loops never win.
    assert few.startswith("gemm_" if arch in ("reference", "neon") else "sparse_")


@pytest.mark.parametrize("arch", [a for a in archs.on_this_cpu() if a != "avx512amx"])
def test_one_pixel_is_sparse_where_a_kernel_for_rows_wins(arch):
    few, many = (kernel_of(layer(kept, size=1), arch=arch) for kept in (0.2, 0.6))
    assert many.startswith("gemm_")
    assert few.startswith("sparse_s8_s8_s32_1x16x4_" if arch.startswith("avx512") else "gemm_")


@pytest.mark.parametrize("threads", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("arch", [a for a in archs.on_this_cpu() if a != "avx512amx"])
def test_small_layers_equal_the_reference_on_any_number_of_threads(arch, threads):
    rng = np.random.default_rng(threads)
    for size, depth, kernel, outputs in SMALL:
        model = layer(0.25, size, depth, kernel, outputs)
        feeds = [[rng.integers(-128, 128, (1, size, size, depth), np.int8)] for _ in range(3)]
        interpreter = int8x.Interpreter(
            model, num_threads=threads, options={"arch": arch, "sparse": "on"}
        )
        assert not difference(reference_outputs(model, feeds), run(interpreter, feeds)), (
            size,
            depth,
            kernel,
            outputs,
        )


def test_channels_that_do_not_make_blocks_stay_dense():
    (case, *_) = (c for c in CASES["CONV_2D"](40) if c.model and depth_of(c.model) % 4)
    assert kernel_of(case.model, sparse="on").startswith("gemm_")


def depth_of(model: bytes) -> int:
    return int(int8x.Interpreter(model).get_input_details()[0]["shape"][-1])
