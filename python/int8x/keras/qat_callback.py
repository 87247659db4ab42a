"""Quantization-aware training as a callback of `model.fit`."""

from __future__ import annotations

from typing import Any

import keras

from int8x.keras import private
from int8x.keras.handle import Handle, attach

_SUPPORTED: dict[str, tuple[Any, ...]] = {
    "weights": ("per_channel",),
    "weight_bits": (8,),
    "activation_bits": (8,),
    "ranges": ("average",),
    "exclude": ((), []),
}


class QATCallback(keras.callbacks.Callback):
    """Trains the model as the int8 file will compute: weights and activations rounded to int8.

    The model is instrumented in place when `fit` begins and stays so afterwards: `evaluate` and
    `predict` show the int8 model's results, `int8x.export` writes it, `int8x.keras.strip` gives the
    plain float model back. Weights have one scale per output channel; activations have a range
    averaged over the batches of training.

    Args:
        weights: "per_channel". weight_bits, activation_bits: 8. ranges: "average", the mean over
        batches of each batch's least and greatest value. start_epoch: the epoch, counted from 0, at
        which rounding begins; before it the fit is plain float. freeze_batchnorm, freeze_ranges:
        after this share of the quantized steps, in (0, 1], BatchNormalization uses
            its statistics as they stand, and ranges stay; 1 means never. When the number of steps
            is not known they change between epochs, at the latest before the last of several.
        exclude: ().

    Raises ValueError for what is not supported, naming what is; and in `fit` for layers that cannot
    be trained so.

    Example:
        >>> import keras, numpy, int8x
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        >>> model.compile("adam", "mse")
        >>> x = numpy.random.rand(64, 4).astype("float32")
        >>> history = model.fit(x, x[:, :2], epochs=2, verbose=0, callbacks=[int8x.QATCallback()])
    """

    def __init__(
        self,
        weights: str = "per_channel",
        weight_bits: int = 8,
        activation_bits: int = 8,
        ranges: str = "average",
        start_epoch: int = 0,
        freeze_batchnorm: float = 0.75,
        freeze_ranges: float = 0.75,
        exclude: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        given = {
            "weights": weights,
            "weight_bits": weight_bits,
            "activation_bits": activation_bits,
            "ranges": ranges,
            "exclude": exclude,
        }
        for name, value in given.items():
            if value not in _SUPPORTED[name]:
                raise ValueError(
                    f"QATCallback: {name} must be {_SUPPORTED[name][0]!r}, got {value!r}"
                )
        if isinstance(start_epoch, bool) or not isinstance(start_epoch, int) or start_epoch < 0:
            raise ValueError(
                f"QATCallback: start_epoch must be a whole number from 0, got {start_epoch!r}"
            )
        for name, share in (
            ("freeze_batchnorm", freeze_batchnorm),
            ("freeze_ranges", freeze_ranges),
        ):
            if not isinstance(share, (int, float)) or not 0 < share <= 1:
                raise ValueError(f"QATCallback: {name} must be a share in (0, 1], got {share!r}")
        self.start_epoch = start_epoch
        self.freeze_batchnorm = float(freeze_batchnorm)
        self.freeze_ranges = float(freeze_ranges)
        self._handle: Handle | None = None
        self._first_epoch: int | None = None
        self._epoch = 0

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        self._handle = attach(model)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._first_epoch = None
        self._set(active=self.start_epoch == 0, observe=True, freeze_batchnorm=False)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        if self._first_epoch is None:
            self._first_epoch = max(epoch, self.start_epoch)
        if epoch >= self.start_epoch:
            self._set(active=True)
            if not self.params.get("steps"):
                self._freeze(self._share_by_epochs(epoch))

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        steps = self.params.get("steps")
        if steps and self._epoch >= self.start_epoch:
            assert self._first_epoch is not None
            done = (self._epoch - self._first_epoch) * steps + batch
            self._freeze(done / (max(self.params["epochs"] - self._first_epoch, 1) * steps))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._set(active=True, observe=False, freeze_batchnorm=False)
        private.reset_functions(self.model)

    def _share_by_epochs(self, epoch: int) -> float:
        """The share of epochs done, taken as 1 in the last of several."""
        assert self._first_epoch is not None
        epochs = self.params["epochs"] - self._first_epoch
        done = epoch - self._first_epoch
        return 1.0 if done and done == epochs - 1 else done / max(epochs, 1)

    def _freeze(self, share: float) -> None:
        if share > 0:
            self._set(
                observe=share < self.freeze_ranges or self.freeze_ranges == 1,
                freeze_batchnorm=share >= self.freeze_batchnorm and self.freeze_batchnorm < 1,
            )

    def _set(self, **switches: bool) -> None:
        """Turns switches; the train step is traced anew when one really changed."""
        assert self._handle is not None
        state = self._handle.switches
        changed = {name for name, value in switches.items() if getattr(state, name) != value}
        for name in changed:
            setattr(state, name, switches[name])
        if changed:
            private.remake_train_function(self.model)
