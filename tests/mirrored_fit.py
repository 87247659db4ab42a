"""Fits a small net under MirroredStrategy in a process of its own, and saves what replicas hold.

    mirrored_fit.py OUTPUT.npz REPLICAS QAT-ARGUMENTS LEARNING-RATE [RATE-OF-THE-CONVOLUTION]

Of the QAT-ARGUMENTS "uneven" scatters the scales of the net's channels before the fit.
With a rate of the convolution it is unfrozen late, weights decay, and pruning has a schedule.

TensorFlow remembers the sizes of a process's collective operations: a strategy with others cannot
follow in the same process.
"""

import json
import sys

import keras
import keras_nets as nets
import numpy as np
import tensorflow as tf


def fitted(replicas, settings, learning_rate, rate=None):
    from int8x.keras import PolynomialDecay, PruningCallback, QATCallback, TransferLearningCallback

    x, y, _, _ = nets.digits(64, 8)
    nets.seed()
    with tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(replicas)]).scope():
        model = nets.small()
        model.layers[2].trainable = learning_rate > 0 and rate is None  # BatchNormalization
        nets.compiled(model, learning_rate=learning_rate)
        if rate is not None:
            model.compile(keras.optimizers.SGD(learning_rate, weight_decay=1.0), model.loss)
    if settings.pop("uneven", False):
        model.layers[2].gamma.assign([2.0**-6, 1.0, 2.0**3, 2.0**6])
    callbacks = [PruningCallback(0.5), QATCallback(**settings)]
    if rate is not None:
        transfer = TransferLearningCallback("conv2d*", unfreeze={1: "all"}, rates=rate)
        schedule = PolynomialDecay(0.0, 0.5, 0, 2, frequency=1)
        callbacks = [transfer, PruningCallback(schedule=schedule), *callbacks[1:]]
    model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0, callbacks=callbacks)
    return model


def main():
    output, count, settings, learning_rate, *rate = sys.argv[1:]
    tf.config.set_logical_device_configuration(
        tf.config.list_physical_devices("CPU")[0],
        [tf.config.LogicalDeviceConfiguration() for _ in range(int(count))],
    )
    found = {}
    model = fitted(int(count), json.loads(settings), float(learning_rate), *map(float, rate))
    for number, variable in enumerate(model.variables):
        parts = getattr(variable.value, "values", [variable.value])
        name = "/".join(variable.path.split("/")[1:])
        for replica, part in enumerate(parts):
            found[f"{number} {name} {replica}"] = part.numpy()
    np.savez(output, **found)


if __name__ == "__main__":
    main()
