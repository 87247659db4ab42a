"""A backbone as a layer that says how it is to be fine-tuned."""

from __future__ import annotations

from typing import Any

import keras

from int8x.keras.backbones import Backbone, TransferSettings
from int8x.keras.layer_wrapper import LayerWrapper


@keras.saving.register_keras_serializable("int8x")
class TransferWrapper(LayerWrapper):
    """A pretrained backbone in a Sequential or Functional model, frozen until it is fine-tuned.

    `TransferLearningCallback()`, without arguments, fine-tunes it as it says; without the callback
    it stays frozen. It is saved with the model. Trained and exported it is the backbone itself.

    backbone: a built layer or model. unfreeze, rates, decay, freeze_bn: as
    TransferLearningCallback takes them; names in `rates` may be of any layer of the model.

    ValueError for what makes no sense, and a backbone that is wrapped so already.

    >>> base = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8)], name="base")
    >>> wrapped = int8x.keras.TransferWrapper(base, unfreeze={1: "all"})
    >>> model = keras.Sequential([keras.Input((8,)), wrapped, keras.layers.Dense(2)])
    """

    driver = "int8x.TransferLearningCallback"
    wraps_models = True

    def __init__(
        self,
        backbone: keras.Layer,
        unfreeze: Any = TransferSettings.unfreeze,
        rates: Any = 0.1,
        decay: float = 1.0,
        freeze_bn: bool = True,
        **options: Any,
    ) -> None:
        if not isinstance(backbone, keras.Layer) or not backbone.built:
            raise ValueError(f"TransferWrapper: a built Keras layer was wanted, got {backbone!r}")
        super().__init__(backbone, **options)
        self.settings = TransferSettings(unfreeze, rates, decay, freeze_bn)
        own = Backbone(self, [backbone], self.settings)
        own.set_trainable([False] * len(own.parts))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self.settings.config()}
