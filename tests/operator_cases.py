"""Every operator the delegate takes, with the generator of its cases."""

from collections.abc import Callable, Iterator

import cases_move
import cases_pointwise
import cases_reduce
import cases_shape
import cases_table
import cases_weights
from operator_case import Case

CASES: dict[str, Callable[..., Iterator[Case]]] = {
    "CONV_2D": cases_weights.conv_2d,
    "DEPTHWISE_CONV_2D": cases_weights.depthwise_conv_2d,
    "FULLY_CONNECTED": cases_weights.fully_connected,
    "TRANSPOSE_CONV": cases_weights.transpose_conv,
    "BATCH_MATMUL": cases_weights.batch_matmul,
    "ADD": cases_pointwise.add,
    "SUB": cases_pointwise.sub,
    "MUL": cases_pointwise.mul,
    "MAXIMUM": cases_pointwise.maximum,
    "MINIMUM": cases_pointwise.minimum,
    "SQUARED_DIFFERENCE": cases_pointwise.squared_difference,
    "PRELU": cases_pointwise.prelu,
    "SELECT": cases_pointwise.select_v1,
    "SELECT_V2": cases_pointwise.select_v2,
    "AVERAGE_POOL_2D": cases_shape.average_pool_2d,
    "MAX_POOL_2D": cases_shape.max_pool_2d,
    "MEAN": cases_shape.mean,
    "SUM": cases_reduce.sum_,
    "REDUCE_MAX": cases_reduce.reduce_max,
    "REDUCE_MIN": cases_reduce.reduce_min,
    "L2_NORMALIZATION": cases_reduce.l2_normalization,
    "LOG_SOFTMAX": cases_reduce.log_softmax,
    "RESIZE_BILINEAR": cases_reduce.resize_bilinear,
    "RESHAPE": cases_shape.reshape,
    "PAD": cases_shape.pad,
    "SOFTMAX": cases_pointwise.softmax,
    "LOGISTIC": cases_table.logistic,
    "RELU": cases_table.relu,
    "RELU6": cases_table.relu6,
    "RELU_N1_TO_1": cases_table.relu_n1_to_1,
    "TANH": cases_table.tanh,
    "LEAKY_RELU": cases_table.leaky_relu,
    "HARD_SWISH": cases_table.hard_swish,
    "GELU": cases_table.gelu,
    "ELU": cases_table.elu,
    "EXP": cases_table.exp,
    "LOG": cases_table.log,
    "ABS": cases_table.absolute,
    "RSQRT": cases_table.rsqrt,
    "CONCATENATION": cases_shape.concatenation,
    "QUANTIZE": cases_pointwise.quantize,
    "DEQUANTIZE": cases_pointwise.dequantize,
    **{operator: cases_move.moves(operator) for operator in cases_move.MAKERS},
}
