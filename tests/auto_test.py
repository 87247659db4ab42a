"""recipe="auto" finds a cheap mixture that meets the target on samples it has not seen, and says
what it tried.
"""

import dataclasses
import subprocess
import sys

import int8x
import numpy as np
import pytest
from float_nets import RELU, Net
from int8x.cli import main
from int8x.methods.scoring import Reference
from int8x.quantization.passes import prepare
from int8x.quantization.recipe import PRESETS
from int8x.tflite.graph import Graph
from uneven_nets import SHAPE, gaussian, images

AUTO = dataclasses.replace(PRESETS["auto"], io="float")


def mixed(seed: int = 0) -> Graph:
    """One convolution that int8 spoils: its two halves are large, and cancel but for a little."""
    net = Net(seed)
    x = net.input(*SHAPE)
    a = net.conv(x, 8, activation=RELU)
    b = net.conv(a, 8, activation=RELU)
    c = net.conv(b, 8, size=1)
    d = net.binary("SUB", c, net.conv(b, 8, size=1))
    graph = net.done(net.conv(d, 4))
    gaussian(net)
    op = net.main.operators
    op[3].inputs[1].data = op[2].inputs[1].values + 0.1 * op[3].inputs[1].values
    op[3].inputs[2].data = op[2].inputs[2].values
    return graph


def quantize(target: float, **fields):
    recipe = dataclasses.replace(AUTO, target_sqnr=target, **fields)
    return int8x.quantize(mixed(), data=images(128), recipe=recipe)


def sqnr(coded: Graph) -> float:
    report = int8x.validate(mixed(), coded, images(64, 100))
    return report.tensor(report.outputs[0]).sqnr_db


def test_a_target_that_int8_meets_leaves_all_in_int8():
    coded = quantize(10.0)
    search = coded.quantization.search
    assert search.met and [t.what for t in search.trials] == ["int8"]
    assert not coded.quantization.recipe.overrides
    assert {t.dtype for op in coded.main.operators for t in op.outputs} <= {"INT8", "FLOAT32"}


def test_a_higher_target_is_met_by_some_operators_in_int16():
    plain = sqnr(int8x.quantize(mixed(), data=images(128), recipe=int8x.Recipe(io="float")))
    wide = sqnr(
        int8x.quantize(mixed(), data=images(128), recipe=int8x.Recipe("int16x8", io="float"))
    )
    target = (plain + wide) / 2
    coded = quantize(target)
    search, (rule,) = coded.quantization.search, coded.quantization.recipe.overrides
    print(f"int8 {plain:.1f}, int16x8 {wide:.1f}, target {target:.1f}, found {sqnr(coded):.1f} dB")
    assert search.met and search.trials[-1].samples == "held out"
    assert search.trials[-1].sqnr_db >= target
    assert sqnr(coded) > target - 1.0  # other samples than those held out
    assert rule.compute == "int16x8" and 0 < len(rule.index) < 6
    assert {2, 3} & set(rule.index)  # the halves that cancel
    assert sum(s.cost for s in search.sensitivities if s.index in rule.index) < sum(
        s.cost for s in search.sensitivities
    )


def test_sensitivities_name_each_operator_and_its_noise_alone():
    found = quantize(32.0).quantization.search.sensitivities
    assert sorted(s.index for s in found) == list(range(6))
    assert {s.kind for s in found} == {"CONV_2D", "SUB"}
    alone = {s.index: s.sqnr_db for s in found}
    assert min(alone, key=alone.get) in (2, 3, 4)


def test_a_target_out_of_reach_is_said_and_the_best_is_given():
    with pytest.warns(UserWarning, match=r"the target \(SQNR of 150 dB\) is not met: the best has"):
        coded = quantize(150.0)
    search = coded.quantization.search
    assert not search.met and "--allow-float" in search.advice
    assert ("--io float" in search.advice) == (coded.quantization.recipe.io != "float")
    assert coded.quantization.recipe.overrides[0].index == tuple(range(6))


def test_float_is_used_only_where_it_is_allowed():
    coded = quantize(60.0, allow_float=True)
    assert coded.quantization.search.met
    assert {rule.compute for rule in coded.quantization.recipe.overrides} == {"float"}
    assert coded.quantization.float_operators


def test_the_found_recipe_is_plain_data_that_needs_no_search(tmp_path):
    coded = quantize(30.0)
    coded.save(tmp_path / "m.tflite")
    recipe = int8x.Recipe.load(tmp_path / "m.recipe.json")
    assert recipe == coded.quantization.recipe and not recipe.auto and recipe.target_sqnr is None
    again = int8x.quantize(mixed(), data=images(128), recipe=recipe)
    kinds = [[t.dtype for t in op.outputs] for op in again.main.operators]
    assert kinds == [[t.dtype for t in op.outputs] for op in coded.main.operators]


def test_equal_inputs_give_equal_bytes():
    assert quantize(30.0).to_bytes() == quantize(30.0).to_bytes()


def labels(count: int, seed: int = 0) -> np.ndarray:
    """The float model's own choices: its accuracy is 1."""
    samples = [[s[None]] for s in images(count, seed)]
    outputs = Reference(prepare(flat()), samples).outputs
    return np.array([int(np.argmax(o[0])) for o in outputs])


def flat() -> Graph:
    """mixed() with a mean over space: four classes."""
    graph = mixed()
    net = Net(9)
    net.graph, net.main = graph, graph.main
    y = graph.main.outputs[0]
    axes = net.constant(np.array([1, 2], np.int32))
    mean = net.add("MEAN", [y, axes], 1, 4, options="ReducerOptions", keepDims=False)
    return net.done(mean)


def test_labels_set_the_target_in_points():
    recipe = dataclasses.replace(AUTO, max_drop=10.0)
    coded = int8x.quantize(flat(), data=images(128), labels=labels(128), recipe=recipe)
    search = coded.quantization.search
    last = search.trials[-1]
    assert search.met and search.float_accuracy == 1.0
    assert 100 * (1.0 - last.accuracy) <= 10.0


@pytest.mark.parametrize(
    "given, told",
    [
        ({"max_drop": 1.0}, "max_drop needs labels"),
        ({"labels": np.zeros(3, np.int64)}, "one integer for each of the 16 samples, got 3"),
        ({"labels": np.zeros(16)}, "got 16 of float64"),
    ],
)
def test_labels_that_are_missing_or_do_not_fit_are_named(given, told):
    recipe = dataclasses.replace(AUTO, max_drop=given.pop("max_drop", None))
    with pytest.raises(int8x.DataError, match=told):
        int8x.quantize(mixed(), data=images(16), recipe=recipe, **given)


def test_without_data_it_says_what_it_needs():
    with pytest.raises(int8x.QuantizeError, match="needs data"):
        int8x.quantize(mixed(), recipe="auto")


@pytest.mark.parametrize("target, status", [("10", 0), ("150", 1)])
def test_the_command_prints_what_it_tried_and_fails_when_the_target_is_not_met(
    tmp_path, target, status
):
    mixed().save(tmp_path / "f.tflite")
    np.save(tmp_path / "d.npy", images(64))
    arguments = ["f.tflite", "--data=d.npy", "--recipe=auto", "--output=m.tflite"]
    done = subprocess.run(
        [sys.executable, "-m", "int8x", "quantize", *arguments, "--target-sqnr", target],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status
    assert f"auto: SQNR of {target} dB" in done.stdout and (tmp_path / "m.tflite").exists()
    last = done.stderr.splitlines()[-1]
    assert ("is not met: the best" in last) == bool(status)
    assert ("--io float" in last) == ("--allow-float" in last) == bool(status)


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--data=d.npy", "--target-sqnr=30"], "belong to --recipe auto"),
        (["--data=d.npy", "--labels=l.npy"], "belong to --recipe auto"),
        (["--recipe=auto"], "--recipe auto needs --data"),
    ],
)
def test_options_of_auto_without_auto_and_auto_without_data_are_wrong_usage(
    capsys, tmp_path, arguments, told
):
    output = f"--output={tmp_path / 'm.tflite'}"
    assert main(["quantize", "f.tflite", output, *arguments]) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
