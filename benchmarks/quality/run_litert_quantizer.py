"""Quantizes one model with litert-quantizer, in its own environment.

    run_litert_quantizer.py FLOAT.tflite CALIBRATION.npy OUTPUT.tflite RECIPE

CALIBRATION.npy has the samples of the one input. RECIPE is the name of a function of
litert_quantizer.recipe. The calibration mode is the one that its README recommends.
"""

import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from litert_quantizer import calibrator, quantizer, recipe


def main() -> None:
    model, data, output, name = sys.argv[1:]
    signature, entries = next(iter(Interpreter(model).get_signature_list().items()))
    (key,) = entries["inputs"]
    samples = [{key: sample[None]} for sample in np.load(data, allow_pickle=False)]
    work = quantizer.Quantizer(model)
    work.load_quantization_recipe(getattr(recipe, name)())
    statistics = work.calibrate(
        {signature: samples}, mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED
    )
    work.quantize(statistics, enable_progress_report=False).export_model(output, overwrite=True)


if __name__ == "__main__":
    main()
