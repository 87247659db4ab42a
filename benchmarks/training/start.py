"""Where every column begins: a net trained in float, kept in the cache."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quality.training import trained
from quality.uneven import uneven
from training import nets
from training.fit import fit

FLOAT_EPOCHS, FLOAT_RATE = 6, 2e-3  # the checkpoint
FLOAT_RATES = {"ds_cnn": 5e-3, "mobilenet_v2": 5e-3}  # from 2e-3 these stay below 91 %
_FIT = hashlib.sha256((Path(__file__).parent / "fit.py").read_bytes()).hexdigest()


@dataclass(frozen=True)
class Start:
    """Where a column begins: a net trained in float with a seed; for how many epochs it goes on."""

    net: str
    seed: int
    epochs: int

    def model(self) -> Any:
        """A new Keras 3 model with the weights of the checkpoint."""
        import keras

        def train(model: Any) -> None:
            fit(keras, model, self.seed, FLOAT_EPOCHS, self._rate())

        name, build = f"training_{self.net}_{self.seed}", nets.NETS[self.net]
        model = trained(name, nets, self._how(), lambda: build(keras), train, self.seed)
        return uneven(model, self.seed) if self.net == "uneven" else model

    def float_model(self) -> Any:
        """The same after the column's epochs in float: kept, for three columns need it."""
        name, how = f"training_{self.net}_{self.seed}_on", f"{self._how()} {self.epochs}"
        return trained(name, nets, how, self.model, self.fit, self.seed)

    def fit(self, model: Any, *callbacks: Any, part: tuple[int, int] = (0, 1)) -> None:
        """Goes on training, as every column does."""
        import keras

        fit(keras, model, self.seed, self.epochs, callbacks=callbacks, part=part)

    def _rate(self) -> float:
        return FLOAT_RATES.get(self.net, FLOAT_RATE)

    def _how(self) -> str:
        """What made the checkpoint, for its name in the cache."""
        return f"{self.seed} {FLOAT_EPOCHS} {self._rate():g} {_FIT}"
