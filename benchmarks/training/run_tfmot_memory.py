"""The memory of TFMOT's fit, in the environment `tfmot`:

run_tfmot_memory.py NET KIND      prints MB; KIND: float, qat
"""

import sys

import tensorflow_model_optimization as tfmot
import tf_keras
from training.nets import NETS
from training.steps import fit_memory


def main(net: str, kind: str) -> None:
    model = NETS[net](tf_keras)
    if kind == "qat":
        model = tfmot.quantization.keras.quantize_model(model)
    print(fit_memory(tf_keras, lambda: (model, ())))


if __name__ == "__main__":
    main(*sys.argv[1:])
