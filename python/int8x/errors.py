"""What int8x raises when it refuses something. Every message names the thing, what was wanted and
what came.
"""


class Int8xError(Exception):
    """Base of all errors that int8x raises on purpose; the command line turns each into exit status
    1.
    """


class ModelError(Int8xError):
    """A .tflite file that is broken, truncated, hostile, or not what the call needs."""


class DataError(Int8xError):
    """Calibration or validation data of the wrong shape, type or content."""


class StatsError(Int8xError):
    """Statistics that are broken, or that belong to another model."""


class WorkerError(Int8xError):
    """A worker process that died, or a number of workers that cannot be."""


class RecipeError(Int8xError):
    """A recipe with an unknown key, a bad value, or an unknown name."""


class QuantizeError(Int8xError):
    """A model that cannot be made full int8 under the given recipe; `operators` lists what stands
    in the way.

    operators: tuple of (name of the operator's first output, operator kind, reason).
    """

    def __init__(self, message: str, operators: tuple[tuple[str, str, str], ...] = ()):
        super().__init__(message)
        self.operators = operators
