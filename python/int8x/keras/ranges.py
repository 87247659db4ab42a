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

    Of the sites whose ranges are learned `logs` holds (log of low', log of high') over those ends,
    zeros at first: the range is then [low * exp(log low'), high * exp(log high')].
    """

    def __init__(self, host: str, names: tuple[str, ...], learned: tuple[str, ...]) -> None:
        super().__init__(host, "int8x_qat")
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
        for name in learned:
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

    Those of the model's inputs are never learned: training does not move the data, and their
    gradient would want that of the whole first layer. A layer that already carries ranges of the
    same names keeps their values (a second fit goes on from there).
    """

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self.bits = settings.activation_bits
        self.hosts: dict[int, keras.Layer] = {}
        self.grids: dict[int, tuple[float, int]] = {}
        observing = []
        for site in plan.sites():
            if site.fixed is not None:
                self.grids[site.group] = site.fixed
            elif site.observe:
                observing.append(site)
                self.hosts[id(site.host)] = site.host
        self.members: dict[int, list[Site]] = {}
        for site in observing:
            self.members.setdefault(site.group, []).append(site)
        data = {id(site) for site in plan.inputs.values()}
        self.learned: set[int] = set()  # groups
        for group, sites in self.members.items():
            if settings.learned and not all(id(site) in data for site in sites):
                self.learned.add(group)
        for host in self.hosts.values():
            self._hang(host, [site for site in observing if site.host is host])

    def _hang(self, host: keras.Layer, sites: list[Site]) -> None:
        names = tuple(site.name for site in sites)
        learned = tuple(site.name for site in sites if site.group in self.learned)
        old = getattr(host, SUBLAYER, None)
        if old is not None and (tuple(old.sites), tuple(old.logs)) == (names, learned):
            return
        state = RangeState(host.name, names, learned)
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

    def reach(self, group: int, room: float = 0.0) -> tuple[Tensor, Tensor]:
        """How far a group with ranges of its own reaches, the union of its sites' ranges with so
        much room below, and the batches seen: [2], at least zero, the range is [-reach[0],
        reach[1]]; of 16 bits both equal.
        """
        each, counts = [], []
        for site in self.members[group]:
            low, high, seen = ops.unstack(private.master_value(self.variable(site)))
            reach = ops.relu(ops.stack([-low, high]))
            if group in self.learned:
                log = private.master_value(getattr(site.host, SUBLAYER).logs[site.name])
                reach = reach * ops.exp(log)
            each.append(reach)
            counts.append(seen)
        reach, seen = each[0], counts[0]
        if len(each) > 1:
            reach, seen = ops.max(ops.stack(each), axis=0), ops.max(ops.stack(counts))
        if room:
            reach = reach + ops.convert_to_tensor([room, 0.0], reach.dtype)
        if self.bits == 16:
            reach = ops.maximum(reach, ops.flip(reach, axis=0))
        return reach, seen

    def params(self, group: int, room: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
        """Scale, zero point, batches seen: the union of the sites' ranges, with so much room below,
        or TFLite's own grid.
        """
        if group in self.grids:
            scale, zero_point = self.grids[group]
            numbers = (scale, float(zero_point), 1.0)
            scale, zero_point, seen = (ops.convert_to_tensor(n, "float32") for n in numbers)
            return scale, zero_point, seen
        reach, seen = self.reach(group, room)
        below, above = ops.unstack(reach)
        return *fake_quant.reach_params(below, above, self.bits), seen

    def variables(self) -> list[keras.Variable]:
        """The learned variables."""
        states = (getattr(host, SUBLAYER) for host in self.hosts.values())
        return [log for state in states for log in state.logs.values()]

    def seen(self, group: int) -> bool:
        """Whether a group has a range by now (not only when a graph is run)."""
        with tensors.outside_trace():
            return float(self.params(group)[2]) > 0

    def begun(self) -> bool:
        """Whether any group has seen a batch."""
        return any(self.seen(group) for group in self.members)

    def complete(self) -> bool:
        """Whether every group has seen a batch."""
        return all(self.seen(group) for group in self.members)

    def constants(self, site: Site) -> tuple[float, int]:
        """Scale and zero point of a site's group as numbers; ValueError when no batch was seen."""
        with tensors.outside_trace():
            scale, zero_point, seen = self.params(site.group, site.room)
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
