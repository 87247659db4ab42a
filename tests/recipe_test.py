"""Recipes: plain data that says what it does not know."""

import json

import pytest
from int8x.errors import RecipeError
from int8x.quantization.overrides import Override
from int8x.quantization.recipe import PRESETS, Recipe, resolve


@pytest.mark.parametrize(
    "recipe",
    [
        *PRESETS.values(),
        Recipe(io="float", observer="percentile", percentile=99.5),
        Recipe(
            "int16x8",
            overrides=(
                Override(kind="SOFTMAX", compute="float"),
                Override(index=(1, 2), name="a*", weights="per_tensor"),
                Override(tensor="x", observer="average", range=(-1.5, 2)),
            ),
        ),
    ],
)
def test_a_recipe_survives_its_file(tmp_path, recipe):
    (tmp_path / "r.json").write_text(recipe.to_json())
    assert (
        resolve(tmp_path / "r.json")
        == recipe
        == resolve(str(tmp_path / "r.json"))
        == resolve(json.loads(recipe.to_json()))
    )


def test_keys_left_out_keep_their_defaults():
    assert resolve({"io": "float"}) == Recipe(io="float")
    assert resolve({"name": "int16x8", "weights": "per_tensor"}) == Recipe(
        "int16x8", "int16x8", "per_tensor", "int16"
    )
    assert resolve({"name": "mine", "compute": "dynamic"}).io == "float"
    assert resolve({"overrides": [{"kind": "ADD", "compute": "float"}]}).overrides == (
        Override(kind="ADD", compute="float"),
    )


def test_the_presets_carry_what_is_recommended_and_a_bare_recipe_is_plain():
    int8, wide = resolve("int8"), resolve("int16x8")
    assert (int8.observer, wide.observer) == ("mse", "minmax")
    for recipe in (int8, wide):
        assert recipe.equalize == "if_better" and recipe.bias_correction
    assert resolve("minmax") == Recipe("minmax") == resolve({"name": "minmax"})
    assert Recipe().observer == "minmax" and not (Recipe().equalize or Recipe().bias_correction)


@pytest.mark.parametrize(
    "plain, needed",
    [
        ({"name": "weight_only"}, False),
        ({"name": "dynamic", "io": "int8"}, True),
        ({"name": "float16", "overrides": [{"index": 0, "compute": "int8"}]}, True),
        ({"name": "float16", "overrides": [{"index": 0, "compute": "dynamic"}]}, False),
        ({"name": "int8_w4"}, True),
    ],
)
def test_a_recipe_knows_whether_it_needs_ranges(plain, needed):
    assert resolve(plain).needs_ranges == needed


@pytest.mark.parametrize(
    "plain, told",
    [
        (
            {"weihgts": "per_tensor"},
            "unknown key 'weihgts' .did you mean 'weights'..; known are name",
        ),
        ({"io": "int9"}, "io must be one of int8, uint8, int16, float, got 'int9'"),
        (
            {"observer": None},
            "observer must be one of minmax, average, percentile, mse, entropy, moving_average,",
        ),
        ({"percentile": 20}, r"percentile must lie in \(50, 100\], got 20"),
        ({"percentile": "99"}, "percentile must lie"),
        ({"allow_float": "yes"}, "allow_float must be true or false, got 'yes'"),
        ({"equalize": "maybe"}, "equalize must be true, false or if_better, got 'maybe'"),
        ({"name": 3}, "name must be text, got 3"),
        ([1], "must be a JSON object, got list"),
        ({"compute": "int4"}, "compute must be one of int8, int16x8, .*, got 'int4'"),
        ({"overrides": "all"}, "overrides must be a list of rules, got str"),
        ({"overrides": [3]}, r"overrides\[0\]: a rule must be a JSON object, got int"),
        (
            {"overrides": [{"kind": "ADD", "compute": "float"}, {"kinds": "ADD"}]},
            r"overrides\[1\]: unknown key 'kinds' \(did you mean 'kind'\?\); known are kind, name",
        ),
        ({"overrides": [{"kind": "ADD"}]}, "a rule must set one of compute, weights"),
        ({"overrides": [{"compute": "int8"}]}, "a rule needs either kind, name or index, or"),
        (
            {"overrides": [{"kind": "ADD", "tensor": "x", "range": [0, 1]}]},
            "a rule needs either kind, name or index, or tensor",
        ),
        ({"overrides": [{"tensor": "x", "compute": "int8"}]}, "compute and weights are of oper"),
        ({"overrides": [{"kind": 3, "compute": "int8"}]}, "kind must be text, got 3"),
        ({"overrides": [{"kind": "ADD", "compute": "int9"}]}, "compute must be one of"),
        ({"overrides": [{"kind": "ADD", "weights": "no"}]}, "weights must be one of per_channel"),
        ({"overrides": [{"index": -1, "compute": "int8"}]}, "index must be whole numbers"),
        ({"overrides": [{"index": [True], "compute": "int8"}]}, "index must be whole numbers"),
        ({"overrides": [{"index": [], "compute": "int8"}]}, "index must not be empty"),
        ({"overrides": [{"tensor": "x", "observer": "max"}]}, "observer must be one of minmax"),
        ({"overrides": [{"tensor": "x", "percentile": 5}]}, r"percentile must lie in \(50, 100\]"),
        ({"overrides": [{"tensor": "x", "range": [1, 0]}]}, "range must be .low, high. with"),
        ({"overrides": [{"tensor": "x", "range": [0, float("inf")]}]}, "range must be"),
        ({"overrides": [{"tensor": "x", "range": 6}]}, "range must be"),
    ],
)
def test_what_a_recipe_does_not_know_is_refused(tmp_path, plain, told):
    (tmp_path / "r.json").write_text(json.dumps(plain))
    with pytest.raises(RecipeError, match=told) as caught:
        resolve(tmp_path / "r.json")
    assert str(caught.value).startswith(f"{tmp_path / 'r.json'}: ")


def test_names_and_files_that_are_not_there_are_told(tmp_path):
    with pytest.raises(RecipeError, match="'int7' is neither a file nor one of the presets: int8"):
        resolve("int7")
    (tmp_path / "r.json").write_text("{")
    with pytest.raises(RecipeError, match=r"r\.json: not JSON"):
        resolve(tmp_path / "r.json")
