"""The columns: int8x's recipes and the peers, each a function from a case to a quantized model."""

import warnings
from collections.abc import Callable
from typing import Any

import int8x
from int8x.errors import QuantizeError
from quality import peers
from quality.case import Case

# What int8x is asked for, by column.
RECIPES: dict[str, dict[str, Any]] = {
    "int8x minmax": {"observer": "minmax"},
    "int8x average": {"observer": "average"},
    "int8x percentile": {"observer": "percentile", "percentile": 99.99},
    "int8x mse": {"observer": "mse"},
    "int8x entropy": {"observer": "entropy"},
    "int8x equalize": {"equalize": True},
    "int8x bias": {"bias_correction": True},
    "int8x search": {"range_search": True},
    "int8x adaround": {"adaround": True},
    "int8x percentile+bias": {"observer": "percentile", "bias_correction": True},
    "int8x mse+bias": {"observer": "mse", "bias_correction": True},
    "int8x best": {"observer": "mse", "equalize": True, "bias_correction": True},
    "int8x search+bias": {"range_search": True, "bias_correction": True},
    "int8x all": {
        "equalize": True,
        "range_search": True,
        "adaround": True,
        "bias_correction": True,
    },
    "int8x float layernorm": {
        "observer": "mse",
        "bias_correction": True,
        "overrides": [{"name": "*layer_normalization*", "compute": "float"}],
    },
    "int8x int16x8": {"name": "int16x8"},
    "int8x int16x8 best": {"name": "int16x8", "equalize": True, "bias_correction": True},
}
# A rule of a recipe must match something: this one is for one net.
_ONLY = {"int8x float layernorm": "fashion_transformer"}

PEERS: dict[str, Callable[[Case], bytes]] = {
    "tensorflow": peers.tensorflow,
    "litert-quantizer": peers.litert_quantizer,
}


def fits(method: str, name: str) -> bool:
    """Whether a method is meant for the case of that name."""
    return _ONLY.get(method, name) == name


def quantized(case: Case, method: str) -> bytes:
    """The model as `method` makes it. Operators that must stay float may. Raises PeerError or
    Int8xError, with the reason, when it is refused.
    """
    if method in PEERS:
        return PEERS[method](case)
    return by_int8x(case, RECIPES[method])


def by_int8x(case: Case, recipe: dict[str, Any]) -> bytes:
    """int8x with one recipe; operators without an int8 form stay float only if that must be."""
    with warnings.catch_warnings():  # a recipe that changes the graph calibrates anew, and says so
        warnings.simplefilter("ignore")
        try:
            return int8x.quantize(case.model, data=case.calibration, recipe=recipe).to_bytes()
        except QuantizeError:
            allowed = {**recipe, "allow_float": True}
            return int8x.quantize(case.model, data=case.calibration, recipe=allowed).to_bytes()
