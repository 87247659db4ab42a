"""The learned range of each site: state beside the layer's own, and what is read from it."""

from __future__ import annotations

import keras
import tensorflow as tf

from int8x.keras import fake_quant, private
from int8x.keras.plan import Plan, Site

SUBLAYER = "_int8x_qat"
MEMORY = 0.99  # the moving average forgets no faster than this per batch


class RangeState(private.StateLayer):
    """The ranges of one layer: per site (low, high, batches seen), float32, zeros at first."""

    def __init__(self, host: str, names: tuple[str, ...]) -> None:
        super().__init__(host, "int8x_qat")
        self.sites = {
            name: self.add_weight(
                name=name,
                shape=(3,),
                initializer="zeros",
                trainable=False,
                autocast=False,
                aggregation="mean",
            )
            for name in names
        }


def updated(state: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
    """(low, high, batches) after one more batch.

    The mean of all batches' ends while they are few, then a moving average: keep = min(batches /
    (batches + 1), 0.99), low' = keep * low + (1 - keep) * min(x). A batch with an infinity or
    not-a-number is passed over.
    """
    x = tf.stop_gradient(tf.cast(x, tf.float32))
    ends = tf.stack([tf.reduce_min(x), tf.reduce_max(x)])
    seen = state[2]
    keep = tf.minimum(seen / (seen + 1.0), MEMORY)
    later = tf.concat([keep * state[:2] + (1.0 - keep) * ends, [seen + 1.0]], axis=0)
    return tf.where(tf.reduce_all(tf.math.is_finite(ends)), later, state)


class Ranges:
    """The ranges of all groups of a plan, kept in the sub-layers of their hosts.

    A layer that already carries ranges of the same names keeps their values (a second fit goes on
    from there).
    """

    def __init__(self, plan: Plan) -> None:
        names: dict[int, list[str]] = {}
        self.hosts: dict[int, keras.Layer] = {}
        self.grids: dict[int, tuple[float, int]] = {}
        observing = []
        for site in plan.sites():
            if site.fixed is not None:
                self.grids[site.group] = site.fixed
            elif site.observe:
                observing.append(site)
                self.hosts[id(site.host)] = site.host
                names.setdefault(id(site.host), []).append(site.name)
        for key, host in self.hosts.items():
            old = getattr(host, SUBLAYER, None)
            if old is None or tuple(old.sites) != tuple(names[key]):
                if old is not None:
                    private.remove_sublayer(host, SUBLAYER)
                private.add_sublayer(host, SUBLAYER, RangeState(host.name, tuple(names[key])))
        self.members: dict[int, list[keras.Variable]] = {}
        for site in observing:
            self.members.setdefault(site.group, []).append(self.variable(site))

    def variable(self, site: Site) -> keras.Variable:
        """The (low, high, batches) of an observing site."""
        return getattr(site.host, SUBLAYER).sites[site.name]

    def observe(self, site: Site, x: tf.Tensor) -> None:
        """Counts a batch into a site's range."""
        variable = self.variable(site)
        variable.assign(updated(private.master_value(variable), x))

    def params(self, group: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Scale, zero point, batches seen: the union of the sites' ranges, or TFLite's own grid."""
        if group in self.grids:
            scale, zero_point = self.grids[group]
            return tf.constant(scale), tf.constant(float(zero_point)), tf.constant(1.0)
        states = [private.master_value(variable) for variable in self.members[group]]
        low = tf.reduce_min([state[0] for state in states])
        high = tf.reduce_max([state[1] for state in states])
        seen = tf.reduce_max([state[2] for state in states])
        return *fake_quant.activation_params(low, high), seen

    def seen(self, group: int) -> bool:
        """Whether a group has a range by now (not only when a graph is run)."""
        with tf.init_scope():
            return float(self.params(group)[2]) > 0

    def complete(self) -> bool:
        """Whether every group has seen a batch."""
        return all(self.seen(group) for group in self.members)

    def constants(self, site: Site) -> tuple[float, int]:
        """Scale and zero point of a site's group as numbers; ValueError when no batch was seen."""
        with tf.init_scope():
            scale, zero_point, seen = self.params(site.group)
            if not float(seen):
                raise ValueError(
                    f"{site.host.name}/{site.name}: a range learned in training was wanted, "
                    "got none: fit the model with QATCallback first"
                )
            return float(scale), int(zero_point)

    def remove(self) -> None:
        """Takes the sub-layers away again."""
        for host in self.hosts.values():
            private.remove_sublayer(host, SUBLAYER)
