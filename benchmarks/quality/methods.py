"""The columns: int8x's recipes and the peers, each a function from a case to a quantized model."""

import dataclasses
import warnings
from collections.abc import Callable
from typing import Any

import int8x
from int8x.errors import QuantizeError
from int8x.quantization.recipe import resolve
from quality import peers
from quality.case import Case

# Each recipe names all that it wants: nothing follows from what the presets switch on.
_PLAIN: dict[str, Any] = {
    "observer": "minmax",
    "equalize": False,
    "bias_correction": False,
    "adaround": False,
    "range_search": False,
}

# What int8x is asked for, by column.
RECIPES: dict[str, str | dict[str, Any]] = {
    "int8x int8": "int8",
    "int8x minmax": _PLAIN,
    "int8x average": {**_PLAIN, "observer": "average"},
    "int8x percentile": {**_PLAIN, "observer": "percentile", "percentile": 99.99},
    "int8x mse": {**_PLAIN, "observer": "mse"},
    "int8x entropy": {**_PLAIN, "observer": "entropy"},
    "int8x equalize": {**_PLAIN, "equalize": True},
    "int8x bias": {**_PLAIN, "bias_correction": True},
    "int8x search": {**_PLAIN, "range_search": True},
    "int8x adaround": {**_PLAIN, "adaround": True},
    "int8x mse+bias": {**_PLAIN, "observer": "mse", "bias_correction": True},
    "int8x search+bias": {**_PLAIN, "range_search": True, "bias_correction": True},
    "int8x all": {
        **_PLAIN,
        "equalize": True,
        "range_search": True,
        "adaround": True,
        "bias_correction": True,
    },
    "int8x int8_w4": "int8_w4",
    "int8x int8_w4 nearest": {**_PLAIN, "compute": "int8_w4", "observer": "mse"},
    "int8x weight_only": "weight_only",
    "int8x auto": "auto",
    "int8x float layernorm": {
        **_PLAIN,
        "observer": "mse",
        "equalize": True,
        "bias_correction": True,
        "overrides": [{"name": "*layer_normalization*", "compute": "float"}],
    },
    # A logarithm of small powers wants more than any grid of even steps has.
    "int8x float spectrogram": {
        **_PLAIN,
        "observer": "mse",
        "io": "float",
        "overrides": [
            {"name": "*cq_t*", "compute": "float"},
            {"name": "*normalized_log*", "compute": "float"},
        ],
    },
    "int8x int16x8": "int16x8",
    "int8x int16x8 minmax": {"name": "int16x8", **_PLAIN},
    "int8x int16x8 adaround": {
        "name": "int16x8",
        "equalize": "if_better",
        "adaround": True,
        "bias_correction": True,
    },
}
# A rule of a recipe must match something: these are for one net each.
_ONLY = {
    "int8x float layernorm": "fashion_transformer",
    "int8x float spectrogram": "basic_pitch",
}

PEERS: dict[str, Callable[[Case], bytes]] = {
    "tensorflow": peers.tensorflow,
    "litert-quantizer": peers.litert_quantizer,
}
PEERS_16X8: dict[str, Callable[[Case], bytes]] = {"tensorflow int16x8": peers.tensorflow_16x8}

# What runs unless asked otherwise: the rest takes much longer, or tells little more.
_USUAL = (
    *PEERS,
    "int8x int8",
    "int8x minmax",
    "int8x float layernorm",
    "int8x float spectrogram",
    "int8x int16x8",
    "int8x int16x8 minmax",
)
_OF_SMALL_NETS = (*PEERS_16X8, "int8x int16x8 adaround", "int8x auto")


def usual(name: str) -> tuple[str, ...]:
    """The methods that the case of that name is run by unless asked otherwise: on small nets
    TensorFlow's 16x8, AdaRound and the search of "auto" too, which take long on others.
    """
    small = name.startswith(("fashion_", "tiny_"))
    methods = (*_USUAL, *_OF_SMALL_NETS) if small else _USUAL
    return tuple(method for method in methods if fits(method, name))


def fits(method: str, name: str) -> bool:
    """Whether a method is meant for the case of that name."""
    return _ONLY.get(method, name) == name


def quantized(case: Case, method: str) -> bytes:
    """The model as `method` makes it. Operators that must stay float may. Raises PeerError or
    Int8xError, with the reason, when it is refused.
    """
    peer = PEERS.get(method) or PEERS_16X8.get(method)
    if peer is not None:
        return peer(case)
    return by_int8x(case, RECIPES[method])


def by_int8x(case: Case, recipe: str | dict[str, Any]) -> bytes:
    """int8x with one recipe; operators without an int8 form stay float only if that must be."""
    with warnings.catch_warnings():  # a recipe that changes the graph calibrates anew, and says so
        warnings.simplefilter("ignore")
        try:
            return int8x.quantize(case.model, data=case.calibration, recipe=recipe).to_bytes()
        except QuantizeError:
            allowed = dataclasses.replace(resolve(recipe), allow_float=True)
            return int8x.quantize(case.model, data=case.calibration, recipe=allowed).to_bytes()
