"""int8x.keras.tensors on TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

READS_IN_TRACE = True
FLOAT64 = True
outside_trace = tf.init_scope


def bits_of(x: tf.Tensor) -> tf.Tensor:
    return tf.bitcast(x, tf.int32)


def float_of(bits: tf.Tensor) -> tf.Tensor:
    return tf.bitcast(bits, tf.float32)


def fake_quant_8(x: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
    """TensorFlow's own operator."""
    return tf.quantization.fake_quant_with_min_max_vars(x, low, high, num_bits=8)


def no_gradient(x: Any) -> Any:
    return None


def is_float_tensor(x: Any) -> bool:
    return tf.is_tensor(x) and x.dtype.is_floating


def over_replicas(ends: tf.Tensor) -> tf.Tensor:
    """The ends over the batches of all replicas; a not-a-number of one is one of all."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return ends

    def of_this_process(strategy: tf.distribute.Strategy, each: Any) -> tf.Tensor:
        return tf.stack(strategy.experimental_local_results(each))

    every = context.merge_call(of_this_process, args=(ends,))
    if every.shape[0] != context.num_replicas_in_sync:  # several processes
        every = context.all_gather(ends[None], axis=0)
    joined = tf.stack([tf.reduce_min(every[:, 0]), tf.reduce_max(every[:, 1])])
    return tf.where(tf.reduce_all(tf.math.is_finite(every)), joined, float("nan"))
