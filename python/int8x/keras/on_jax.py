"""int8x.keras.tensors on JAX."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import keras

READS_IN_TRACE = False  # fit hands variables to its step as arguments and empties them meanwhile
FLOAT64 = False  # unless JAX_ENABLE_X64


@contextlib.contextmanager
def outside_trace() -> Iterator[None]:
    """Past the trace, and past the arguments that stand for variables in it."""
    with jax.ensure_compile_time_eval(), keras.StatelessScope(initialize_variables=False):
        yield


def bits_of(x: jax.Array) -> jax.Array:
    return jax.lax.bitcast_convert_type(x, jnp.int32)


def float_of(bits: jax.Array) -> jax.Array:
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


@jax.custom_gradient
def fake_quant_8(x: jax.Array, low: jax.Array, high: jax.Array) -> tuple[jax.Array, Callable]:
    """What TensorFlow's operator computes, for ends that lie on the grid and have zero on it."""
    scale = (high - low) / 255.0
    inside = (x >= low) & (x <= high)

    def gradient(upstream: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        passed = jnp.where(inside, upstream, jnp.zeros_like(upstream))
        return passed, jnp.zeros_like(low), jnp.zeros_like(high)

    steps = jnp.floor((jnp.clip(x, low, high) - low) * (1.0 / scale) + 0.5)
    return steps * scale + low, gradient


def no_gradient(x: Any) -> Any:
    return jnp.zeros_like(x)


def is_float_tensor(x: Any) -> bool:
    return isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jnp.floating)


def over_replicas(ends: jax.Array) -> jax.Array:
    """The ends themselves: there is one replica."""
    return ends
