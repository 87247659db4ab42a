"""The learned range of each site: state beside the layer's own, and what is read from it."""

from __future__ import annotations

import keras
from keras import ops

from int8x.keras import fake_quant, private, tensors
from int8x.keras.plan import Plan, Site
from int8x.keras.settings import Settings
from int8x.keras.tensors import Tensor

SUBLAYER = "_int8x_qat"
MEMORY = 0.99  # the moving average forgets no faster than this per batch


class RangeState(private.StateLayer):
    """The ranges of one layer: per site (low, high, batches seen), float32, zeros at first.

    Where ranges are learned, `logs` holds (log of low', log of high') over those ends, zeros at
    first: the range is then [low * exp(log low'), high * exp(log high')].
    """

    def __init__(self, host: str, names: tuple[str, ...], learns: bool) -> None:
        super().__init__(host, "int8x_qat")
        self.learns = learns
        self.sites = {
            name: self.add_weight(
                name=name,
                shape=(3,),
                initializer="zeros",
                trainable=False,
                autocast=False,
                aggregation="only_first_replica",  # all replicas compute the same
            )
            for name in names
        }
        self.logs: dict[str, keras.Variable] = {}
        for name in names if learns else ():
            self.logs[name] = self.add_weight(
                name=f"{name}_log", shape=(2,), initializer="zeros", autocast=False
            )
            self.logs[name].trainable = False  # until learning begins

    def take_over(self, old: RangeState) -> None:
        """Copies the ranges of sites with the same names."""
        for name, variable in old.sites.items():
            if name in self.sites:
                self.sites[name].assign(variable)


def updated(state: Tensor, x: Tensor) -> Tensor:
    """(low, high, batches) after one more batch.

    The mean of all batches' ends while they are few, then a moving average: keep = min(batches /
    (batches + 1), 0.99), low' = keep * low + (1 - keep) * min(x). A batch with an infinity or
    not-a-number is passed over.
    """
    x = ops.stop_gradient(ops.cast(x, "float32"))
    ends = tensors.over_replicas(ops.stack([ops.min(x), ops.max(x)]))
    seen = state[2]
    keep = ops.minimum(seen / (seen + 1.0), MEMORY)
    later = ops.concatenate([keep * state[:2] + (1.0 - keep) * ends, state[2:] + 1.0])
    return ops.where(ops.all(ops.isfinite(ends)), later, state)


class Ranges:
    """The ranges of all groups of a plan, kept in the sub-layers of their hosts.

    A layer that already carries ranges of the same names keeps their values (a second fit goes on
    from there).
    """

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self.bits, self.learns = settings.activation_bits, settings.learned
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
            self._hang(host, tuple(names[key]))
        self.members: dict[int, list[Site]] = {}
        for site in observing:
            self.members.setdefault(site.group, []).append(site)

    def _hang(self, host: keras.Layer, names: tuple[str, ...]) -> None:
        old = getattr(host, SUBLAYER, None)
        if old is not None and (tuple(old.sites), old.learns) == (names, self.learns):
            return
        state = RangeState(host.name, names, self.learns)
        if old is not None:
            state.take_over(old)
            private.remove_sublayer(host, SUBLAYER)
        private.add_sublayer(host, SUBLAYER, state)

    def variable(self, site: Site) -> keras.Variable:
        """The (low, high, batches) of an observing site."""
        return getattr(site.host, SUBLAYER).sites[site.name]

    def observe(self, site: Site, x: Tensor) -> None:
        """Counts a batch into a site's range."""
        variable = self.variable(site)
        variable.assign(updated(private.master_value(variable), x))

    def ends(self, group: int) -> tuple[Tensor, Tensor, Tensor]:
        """Low, high and batches seen of a group with ranges of its own: the union of its sites'.

        low <= 0 <= high; of 16 bits low = -high.
        """
        lows, highs, counts = [], [], []
        for site in self.members[group]:
            low, high, seen = ops.unstack(private.master_value(self.variable(site)))
            if self.learns:
                log = private.master_value(getattr(site.host, SUBLAYER).logs[site.name])
                low, high = low * ops.exp(log[0]), high * ops.exp(log[1])
            lows.append(low)
            highs.append(high)
            counts.append(seen)
        low, high = (
            ops.minimum(ops.min(ops.stack(lows)), 0.0),
            ops.maximum(ops.max(ops.stack(highs)), 0.0),
        )
        if self.bits == 16:
            high = ops.maximum(-low, high)
            low = -high
        return low, high, ops.max(ops.stack(counts))

    def params(self, group: int) -> tuple[Tensor, Tensor, Tensor]:
        """Scale, zero point, batches seen: the union of the sites' ranges, or TFLite's own grid."""
        if group in self.grids:
            scale, zero_point = self.grids[group]
            numbers = (scale, float(zero_point), 1.0)
            scale, zero_point, seen = (ops.convert_to_tensor(n, "float32") for n in numbers)
            return scale, zero_point, seen
        low, high, seen = self.ends(group)
        return *fake_quant.activation_params(low, high, self.bits), seen

    def variables(self) -> list[keras.Variable]:
        """The learned variables."""
        states = (getattr(host, SUBLAYER) for host in self.hosts.values())
        return [log for state in states for log in state.logs.values()]

    def seen(self, group: int) -> bool:
        """Whether a group has a range by now (not only when a graph is run)."""
        with tensors.outside_trace():
            return float(self.params(group)[2]) > 0

    def complete(self) -> bool:
        """Whether every group has seen a batch."""
        return all(self.seen(group) for group in self.members)

    def constants(self, site: Site) -> tuple[float, int]:
        """Scale and zero point of a site's group as numbers; ValueError when no batch was seen."""
        with tensors.outside_trace():
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
