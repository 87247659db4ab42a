"""Quantization-aware training in a training loop of one's own."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any

import keras

from int8x.keras import heap, private
from int8x.keras.course import Course, check_share, check_switch
from int8x.keras.handle import Handle, attach


class Session:
    """A quantization-aware training under way; see `qat`."""

    def __init__(self, handle: Handle, course: Course, steps: int | None, optimizer: Any) -> None:
        self.handle = handle
        self._course, self._steps, self._done = course, steps, 0
        course.begin(optimizer=optimizer)

    def step(self, function: Callable[..., Any], jit_compile: bool = False) -> Callable[..., Any]:
        """A training step as a tf.function that is traced anew whenever the course turns.

        Within it the model must be called with training=True, and the optimizer be given
        `model.trainable_variables` as they then are.
        """
        import tensorflow as tf

        made: dict[tuple[Any, ...], Callable[..., Any]] = {}

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self._course.advance(self._done / self._steps if self._steps else 0.0, self._steps)
            self._done += 1
            key = tuple(vars(self.handle.switches).values())
            if key not in made:
                made.clear()
                heap.give_back()
                made[key] = tf.function(function, jit_compile=jit_compile)
            return made[key](*args, **kwargs)

        return run

    def end(self) -> None:
        """Ends the training: ranges stay as they are, the model stays instrumented."""
        self._course.end()
        if not self.handle.entered:
            warnings.warn(
                f"{self.handle.model.name}: nothing was trained quantization-aware: a step that "
                "calls the model was wanted within qat, traced there (Session.step does)",
                stacklevel=2,
            )

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.end()
        else:
            self._course.end()


def qat(
    model: keras.Model,
    steps: int | None = None,
    optimizer: Any = None,
    freeze_batchnorm: float = 0.75,
    freeze_ranges: float = 0.75,
    equalize: bool = True,
    **settings: Any,
) -> Session:
    """Makes a model quantization-aware for a training loop of one's own, as QATCallback does for
    `fit`; as a context manager, or with `end()` after the last step.

    steps: how many there will be; if not given, nothing is frozen before the end. optimizer: the
    loop's own, with ranges="lsq" or once it is built; the model's, if not given. equalize: as
    QATCallback's. settings: weights, weight_bits,
    activation_bits, ranges, exclude. ValueError for what QATCallback refuses.

    Example:
        >>> with int8x.keras.qat(model, steps=10 * len(batches)) as training:
        ...     step = training.step(train_step)
        ...     for epoch in range(10):
        ...         for x, y in batches:
        ...             step(x, y)
        >>> int8x.export(model, "model.tflite")
    """
    private.check_tensorflow("qat")
    if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
        raise ValueError(f"qat: steps must be a whole number from 1, got {steps!r}")
    shares = (
        check_share("freeze_batchnorm", freeze_batchnorm),
        check_share("freeze_ranges", freeze_ranges),
    )
    equalize = check_switch("qat", "equalize", equalize)
    handle = attach(model, **settings)
    handle.equalizes = equalize
    handle.equalize(optimizer)
    return Session(handle, Course(handle, *shares), steps, optimizer)
