"""Recipes: plain data that says what it does not know."""

import json

import pytest
from int8x.errors import RecipeError
from int8x.recipe import PRESETS, Recipe, resolve


@pytest.mark.parametrize(
    "recipe", [*PRESETS.values(), Recipe(io="float", observer="percentile", percentile=99.5)]
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


@pytest.mark.parametrize(
    "plain, told",
    [
        ({"weihgts": "per_tensor"}, "unknown key 'weihgts'; known are name, compute"),
        ({"io": "int9"}, "io must be one of int8, uint8, int16, float, got 'int9'"),
        ({"observer": None}, "observer must be one of minmax, average, percentile, got None"),
        ({"percentile": 20}, r"percentile must lie in \(50, 100\], got 20"),
        ({"percentile": "99"}, "percentile must lie"),
        ({"allow_float": "yes"}, "allow_float must be true or false, got 'yes'"),
        ({"name": 3}, "name must be text, got 3"),
        ([1], "must be a JSON object, got list"),
    ],
)
def test_what_a_recipe_does_not_know_is_refused(tmp_path, plain, told):
    (tmp_path / "r.json").write_text(json.dumps(plain))
    with pytest.raises(RecipeError, match=told):
        resolve(tmp_path / "r.json")


def test_names_and_files_that_are_not_there_are_told(tmp_path):
    with pytest.raises(RecipeError, match="'int7' is neither a file nor one of the presets: int8"):
        resolve("int7")
    (tmp_path / "r.json").write_text("{")
    with pytest.raises(RecipeError, match=r"r\.json: not JSON"):
        resolve(tmp_path / "r.json")
