"""How far the file of a net trained quantization-aware is from the net in Keras."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from quality.measure import outputs_of
from training.fit import images
from training.start import Start

_FLOAT_NOISE = 1e-3  # of a step: Keras adds logits up in float32


def agreement(start: Start) -> dict[str, float]:
    """In percent, on 10,000 test images: images whose first class is the same, the two accuracies,
    logits that are equal and logits within one step.
    """
    import int8x

    model = start.model()
    start.fit(model, int8x.QATCallback())
    with tempfile.TemporaryDirectory() as folder:
        graph = int8x.export(model, Path(folder) / "model.tflite")
    _, _, x, y = images()
    trained = np.asarray(model.predict(x, batch_size=250, verbose=0))
    (file,) = outputs_of(graph.to_bytes(), x, "int8x")
    quant: Any = graph.main.outputs[0].quant
    apart = np.abs(trained - file.reshape(trained.shape)) / quant.scale
    classes = [side.reshape(trained.shape).argmax(axis=1) for side in (trained, file)]
    shares = {
        "same class": classes[0] == classes[1],
        "accuracy, Keras": classes[0] == y,
        "accuracy, file": classes[1] == y,
        "equal logits": apart < _FLOAT_NOISE,
        "within a step": apart < 1 + _FLOAT_NOISE,
    }
    return {name: 100 * float(np.mean(share)) for name, share in shares.items()}
