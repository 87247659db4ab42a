"""Keras 3 models: quantization-aware training and pruning in place, and their .tflite files.

    int8x.keras.qat(model)               quantization-aware in a training loop of one's own
    int8x.keras.attach(model)            instrument a model, for example to load saved ranges
    int8x.keras.strip(model)             the plain float model again
    int8x.keras.keep_zeros(model)        masks over the zeros of a pruned model that was loaded
    int8x.keras.shrink(model)            a smaller model without the filters that were pruned
    int8x.keras.sparsity_report(model)   zeros and sizes by layer
    int8x.keras.transfer(base, head, ...)  a pretrained model on new data, to an int8 file
    int8x.keras.distill(teacher, student)  a fit that also learns from a teacher's outputs
    int8x.keras.TransferWrapper(backbone)  a backbone that says how it is fine-tuned
    int8x.keras.QATWrapper(layer)        a layer that is trained quantization-aware
    int8x.keras.PruningWrapper(layer)    a layer that is pruned
    int8x.keras.convert(model)           the float .tflite as an int8x.Graph

Importing this package imports TensorFlow and Keras; importing int8x does not.
"""

from int8x.keras.conversion import convert
from int8x.keras.distillation import Distillation, distill
from int8x.keras.fine_tuning import Transfer, transfer
from int8x.keras.handle import attach, strip
from int8x.keras.masks import keep_zeros
from int8x.keras.pruning_callback import PruningCallback
from int8x.keras.pruning_wrapper import PruningWrapper
from int8x.keras.qat_callback import QATCallback
from int8x.keras.qat_wrapper import QATWrapper
from int8x.keras.removal import shrink
from int8x.keras.schedules import ConstantSparsity, PolynomialDecay
from int8x.keras.session import Session, qat
from int8x.keras.sparsity_report import SparsityReport, sparsity_report
from int8x.keras.transfer_callback import TransferLearningCallback
from int8x.keras.transfer_wrapper import TransferWrapper

__all__ = [
    "ConstantSparsity",
    "Distillation",
    "PolynomialDecay",
    "PruningCallback",
    "PruningWrapper",
    "QATCallback",
    "QATWrapper",
    "Session",
    "SparsityReport",
    "Transfer",
    "TransferLearningCallback",
    "TransferWrapper",
    "attach",
    "convert",
    "distill",
    "keep_zeros",
    "qat",
    "shrink",
    "sparsity_report",
    "strip",
    "transfer",
]
