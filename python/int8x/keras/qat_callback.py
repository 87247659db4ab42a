"""Quantization-aware training as a callback of `model.fit`."""

from __future__ import annotations

import math
import warnings
from typing import Any

import keras

from int8x.keras import private
from int8x.keras.course import Course, check_share, check_switch
from int8x.keras.epoch_logs import EpochLogs
from int8x.keras.handle import Handle, attach, handle_of
from int8x.keras.settings import Settings
from int8x.keras.site_report import site_logs


class QATCallback(keras.callbacks.Callback):
    """Trains the model as the int8 file will compute: weights and activations rounded to int8.

    The model is instrumented in place when `fit` begins and stays so afterwards: `evaluate` and
    `predict` show the int8 model's results, `int8x.export` writes it, `int8x.keras.strip` gives the
    plain float model back.

    Args:
        weights: "per_channel", a scale for each output channel; or "per_tensor", one for a kernel,
            which then is rounded with BatchNormalization folded into it.
        weight_bits: 8, or 4 (recipe int8_w4; kernels whose TFLite operator takes no INT4 stay at
            8). activation_bits: 8, or 16 (recipe int16x8).
        ranges: "average", ranges are the mean over batches of each batch's least and greatest
            value, scales the largest weight over 127; or "lsq", ranges and scales begin there and
            are then moved by the optimizer (learned step size, arXiv:1902.08153, 2004.09576), but
            not the ranges of the model's inputs.
        start_epoch: the epoch, counted from 0, at which rounding begins; before it the fit is plain
            float.
        freeze_batchnorm, freeze_ranges: after this share of the quantized steps, in (0, 1],
            BatchNormalization uses its statistics as they stand, and ranges stay; 1 means never.
            When the number of steps is not known they change between epochs, at the latest before
            the last of several.
        exclude: names, patterns or classes of layers that stay in float, also in the file, with the
            BatchNormalization and ReLU that fuse into them.
        equalize: before rounding begins, channels that differ much in scale are evened out where
            the float model computes the same to the bit (see `equalization`); frozen layers stay as
            they are. `equalized` tells by layer how many channels were. False holds for a
            PruningCallback in the same fit too.
        monitor: a batch of inputs on which, after each epoch, the ends, the clipped share and the
            SQNR of each layer's rounding are measured, into `logs`: History and TensorBoard have
            them.

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
        exclude: tuple[Any, ...] = (),
        equalize: bool = True,
        monitor: Any = None,
    ) -> None:
        super().__init__()
        self.settings = Settings(weights, weight_bits, activation_bits, ranges, exclude)
        if isinstance(start_epoch, bool) or not isinstance(start_epoch, int) or start_epoch < 0:
            raise ValueError(
                f"QATCallback: start_epoch must be a whole number from 0, got {start_epoch!r}"
            )
        self.start_epoch = start_epoch
        self.freeze_batchnorm = check_share("freeze_batchnorm", freeze_batchnorm)
        self.freeze_ranges = check_share("freeze_ranges", freeze_ranges)
        self.equalize = check_switch("QATCallback", "equalize", equalize)
        self.monitor = monitor
        self._logs = EpochLogs(self._measure)
        self._handle: Handle | None = None
        self._first_epoch: int | None = None
        self._epoch = 0

    def set_model(self, model: keras.Model) -> None:
        super().set_model(model)
        private.restore_epoch_logs(model)  # of a fit that was interrupted
        self._handle = attach(model, **vars(self.settings))
        self._handle.equalizes = self.equalize
        self._begun = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        handle = self._handle
        if handle is None or handle_of(self.model) is not handle:
            raise ValueError("QATCallback: one in a fit was wanted, got a second one")
        if self._begun:
            raise ValueError("QATCallback: once in a fit was wanted, got it twice")
        self._begun = True
        self._first_epoch = None
        self._share = 0.0
        if self.monitor is not None:
            self._logs.begin(self.model)
        self._course = Course(handle, self.freeze_batchnorm, self.freeze_ranges)
        self._retrace_if(self._course.begin(active=self.start_epoch == 0))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        handle, self._epoch = self._handle, epoch
        assert handle is not None
        if self._first_epoch is None:
            self._first_epoch = max(epoch, self.start_epoch)
        if epoch >= self.start_epoch:
            self._logs.begin_epoch()
            handle.equalize()
            self._retrace_if(handle.turn(active=True))
            if not self.params.get("steps"):
                self._share = self._share_by_epochs(epoch)

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        private.build_optimizer(self.model)
        if self._epoch < self.start_epoch:
            return
        steps, total = self.params.get("steps"), None
        if steps:
            assert self._first_epoch is not None
            total = max(self.params["epochs"] - self._first_epoch, 1) * steps
            self._share = ((self._epoch - self._first_epoch) * steps + batch) / total
        self._retrace_if(self._course.advance(self._share, total))

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        assert self._handle is not None
        if self._epoch >= self.start_epoch and not self._handle.entered:
            raise ValueError(self._handle.not_entered())
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            warnings.warn(
                f"QATCallback: the loss is {loss} after epoch {self._epoch}, batch {batch}: "
                "training stops here; the ranges are finite, the weights may not be",
                stacklevel=2,
            )
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.monitor is not None and epoch >= self.start_epoch:
            self._logs.end_epoch(logs)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._begun = False
        self._logs.end(self.model)
        began = self._epoch >= self.start_epoch
        if not began:
            warnings.warn(
                f"QATCallback: a fit that reaches start_epoch {self.start_epoch} was wanted, it "
                f"ended with epoch {self._epoch}: nothing of it was quantized",
                stacklevel=2,
            )
        assert self._handle is not None
        self._course.end(active=began or self._handle.has_ranges())
        private.reset_functions(self.model)

    @property
    def equalized(self) -> dict[str, int]:
        """How many channels were rescaled before rounding began, by the layer that makes them."""
        return {} if self._handle is None else dict(self._handle.equalized)

    def _measure(self) -> dict[str, float]:
        assert self._handle is not None
        return site_logs(self._handle, self.monitor)

    def _share_by_epochs(self, epoch: int) -> float:
        """The share of epochs done, taken as 1 in the last of several."""
        assert self._first_epoch is not None
        epochs = self.params["epochs"] - self._first_epoch
        done = epoch - self._first_epoch
        return 1.0 if done and done == epochs - 1 else done / max(epochs, 1)

    def _retrace_if(self, changed: bool) -> None:
        if changed:
            private.remake_train_function(self.model)
