"""What rounding does to the activations of one batch, layer by layer."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np

from int8x.keras import fake_quant
from int8x.keras.handle import Handle
from int8x.keras.plan import Site


def site_logs(handle: Handle, x: Any) -> dict[str, float]:
    """Runs the instrumented model on a batch; of each rounded tensor, by layer name:

    `low`, `high`, the ends of its grid; `clipped`, the share of values beyond them; `sqnr`, in dB,
    10 log10(sum x^2 / sum (x - rounded)^2), 200 for no error at all. Keys look like
    "int8x/conv2d/sqnr", further tensors of a layer like "int8x/conv2d/inner0/sqnr".
    """
    found: dict[str, float] = {}
    handle.run_watched(x, lambda *seen: found.update(_logs(handle, *seen)))
    return found


def _logs(handle: Handle, site: Site, x: Any, rounded: Any) -> dict[str, float]:
    assert handle.ranges is not None
    scale, zero_point = handle.ranges.constants(site)
    low, high = fake_quant.ends(scale, zero_point, handle.settings.activation_bits)
    values = keras.ops.convert_to_numpy(x).astype(np.float64)
    error = values - keras.ops.convert_to_numpy(rounded).astype(np.float64)
    power, noise = float((values**2).sum()), float((error**2).sum())
    sqnr = 200.0 if noise == 0 else 10 * math.log10(max(power / noise, 1e-20))
    part = "" if site.name == "output0_0" else f"/{site.name}"
    name = f"int8x/{site.host.name}{part}"
    return {
        f"{name}/low": float(low),
        f"{name}/high": float(high),
        f"{name}/clipped": float(((values < low) | (values > high)).mean()),
        f"{name}/sqnr": sqnr,
    }
