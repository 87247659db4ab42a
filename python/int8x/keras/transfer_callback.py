"""Transfer learning as a callback of `model.fit`."""

from __future__ import annotations

from typing import Any

import keras

from int8x.keras import private
from int8x.keras.backbones import Backbone, TransferSettings, find
from int8x.keras.layer_rates import LayerRates, rates_of
from int8x.keras.transfer_wrapper import TransferWrapper


class TransferLearningCallback(keras.callbacks.Callback):
    """Fine-tunes a pretrained backbone during `fit`: frozen first, then learning layer by layer,
    its layers slower than the head, its BatchNormalization as it was pretrained.

    Goes with PruningCallback and QATCallback in one list of callbacks, in any order. What a fit has
    unfrozen stays unfrozen after it; its rates end with it.

    Args:
        backbone: a layer or nested model, the model on whose output the head was built, a layer's
            name or pattern, or several of these. If not given: the model's TransferWrappers with
            what they say, else the one model nested in it.
        unfreeze: a dict from when to what. When: an epoch (int), or a share of the fit's epochs in
            [0.0, 1.0). What: "all", a number of last layers with weights (int), a share of them
            (float), or names and patterns of layers. {} leaves the backbone frozen. If not given,
            the last half after a quarter of the fit and all after its half.
        rates: the factor on the learning rate of the backbone's layers; or a dict from a layer's
            name or pattern to its factor, the last that fits, for any layers of the model.
        decay: a further factor from each backbone layer to the one before it (arXiv:1801.06146
            takes 1 / 2.6).
        freeze_bn: whether BatchNormalization of the backbone keeps statistics, scale and offset.

    `logs["unfrozen_layers"]` counts the backbone's layers with weights that learn.

    Raises ValueError for what makes no sense, for a backbone, names or patterns that the model does
    not have, an epoch that the fit does not reach, and a second one in a fit.

    Example:
        >>> import keras, numpy, int8x
        >>> base = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8, "relu")], name="base")
        >>> model = keras.Sequential([keras.Input((8,)), base, keras.layers.Dense(2)])
        >>> model.compile("adam", "mse")
        >>> x = numpy.random.rand(64, 8).astype("float32")
        >>> transfer = int8x.TransferLearningCallback("base", unfreeze={1: "all"}, rates=0.1)
        >>> callbacks = [transfer, int8x.QATCallback()]
        >>> history = model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=callbacks)
        >>> history.history["unfrozen_layers"]
        [0, 1]
    """

    def __init__(
        self,
        backbone: Any = None,
        unfreeze: Any = TransferSettings.unfreeze,
        rates: Any = 0.1,
        decay: float = 1.0,
        freeze_bn: bool = True,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.settings = TransferSettings(unfreeze, rates, decay, freeze_bn)
        self._backbones: list[Backbone] = []
        self._learns: list[list[bool]] = []

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        private.check_tensorflow("TransferLearningCallback")
        if not model.built:
            raise ValueError(
                f"TransferLearningCallback: {model.name}: a built model was wanted, got one not "
                "called yet: run it once first"
            )
        self._backbones = self._find(model)
        for one in self._backbones:
            one.set_trainable(one.unfrozen(float("inf"), 1.0))  # what others may count on
        rates_of(model.optimizer).owner = self
        self._begun = False

    def _find(self, model: keras.Model) -> list[Backbone]:
        layers = private.all_layers(model)
        wrappers = [layer for layer in layers if isinstance(layer, TransferWrapper)]
        if self.backbone is not None or not wrappers:
            return [Backbone(model, find(model, self.backbone), self.settings)]
        if self.settings != TransferSettings():
            names = ", ".join(layer.name for layer in wrappers)
            raise ValueError(
                f"TransferLearningCallback: {names} say how they learn: no other arguments were "
                "wanted, or a backbone"
            )
        return [Backbone(model, [wrapper], wrapper.settings) for wrapper in wrappers]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self._rates().owner is not self:
            raise ValueError("TransferLearningCallback: one in a fit was wanted, got a second one")
        if self._begun:
            raise ValueError("TransferLearningCallback: once in a fit was wanted, got it twice")
        self._begun = True
        for one in self._backbones:
            one.settings.check_length(self.params["epochs"])
        factors = [each for one in self._backbones for each in one.factors(self.model)]
        self._rates().begin(self.model.optimizer, factors)
        self._learns = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        if not self.params.get("steps"):
            self._turn((epoch + 0.5) / self.params["epochs"])

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        steps = self.params.get("steps")
        if steps:
            self._turn((self._epoch * steps + batch) / (self.params["epochs"] * steps))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["unfrozen_layers"] = sum(one.learning() for one in self._backbones)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._begun = False
        self._rates().end(self.model.optimizer)
        private.reset_functions(self.model)

    def _rates(self) -> LayerRates:
        return rates_of(self.model.optimizer)

    def _turn(self, share: float) -> None:
        """Freezes and unfreezes for the next step, if that changes anything."""
        learns = [one.unfrozen(self._epoch, share) for one in self._backbones]
        if learns == self._learns:
            return
        self._learns = learns
        for one, each in zip(self._backbones, learns, strict=True):
            one.set_trainable(each)
        self._rates().adopt(self.model, self.model.optimizer)
        private.remake_train_function(self.model)
