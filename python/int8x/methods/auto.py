"""recipe="auto": the cheapest set of operators to compute wider than int8 that meets a target."""

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from int8x.calibration.calibrator import calibrate_prepared
from int8x.data import Sample, input_specs
from int8x.errors import DataError
from int8x.methods.draft import Draft
from int8x.methods.kept_samples import KeptSamples
from int8x.methods.range_search import SEARCHED
from int8x.methods.refinement import Step, refine
from int8x.methods.scoring import Reference, Score
from int8x.methods.sensitivity import Sensitivity, cost_of, measure, widened
from int8x.progress import Progress, silent
from int8x.quantization.passes import prepare
from int8x.quantization.precision import assign, refuse_left_in_float
from int8x.quantization.recipe import Recipe
from int8x.tflite.graph import Graph

DEFAULT_SQNR = 30.0  # dB, without labels
DEFAULT_DROP = 1.0  # points, with labels
_LIMIT = 512  # samples kept
_PROBES = 64  # samples that the search runs each trial on
_TIGHTENED = 3  # times that the search runs, each with a larger margin


@dataclasses.dataclass(frozen=True)
class Target:
    """sqnr_db: of the worst output, at least; drop: accuracy lost against float in points, at most.
    None asks nothing.
    """

    sqnr_db: float | None
    drop: float | None

    def met(self, score: Score, float_accuracy: float | None, margin: float = 0.0) -> bool:
        """Whether a score reaches it, the SQNR by `margin` more."""
        if self.sqnr_db is not None and score.sqnr_db < self.sqnr_db + margin:
            return False
        if self.drop is None or score.accuracy is None or float_accuracy is None:
            return True
        return 100 * (float_accuracy - score.accuracy) <= self.drop + 1e-9

    def __str__(self) -> str:
        parts = [] if self.sqnr_db is None else [f"SQNR of {self.sqnr_db:g} dB"]
        parts += [] if self.drop is None else [f"accuracy within {self.drop:g} points of float"]
        return " and ".join(parts)


@dataclasses.dataclass(frozen=True)
class Trial:
    """One model that was tried. wider: how many operators were not int8; cost: their share of all
    operators' cost; samples: "search" or "held out"; accuracy: None without labels.
    """

    what: str
    wider: int
    cost: float
    samples: str
    sqnr_db: float
    accuracy: float | None
    met: bool


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What the search did. sensitivities: most gain for its cost first; trials: in order; met: by
    the model that was taken, on the samples held out; float_accuracy: on these; advice: what of the
    recipe may help where the target is not met.
    """

    target: Target
    met: bool
    trials: tuple[Trial, ...]
    sensitivities: tuple[Sensitivity, ...]
    float_accuracy: float | None
    advice: str = ""

    def table(self) -> Any:
        """A rich Table of the trials."""
        from rich.table import Table

        shown = Table(title=f"auto: {self.target}", title_justify="left")
        for name in ("tried", "wider", "cost", "samples", "SQNR dB", "accuracy", "met"):
            left = name in ("tried", "samples")
            shown.add_column(name, justify="left" if left else "right", no_wrap=True)
        for t in self.trials:
            accuracy = "" if t.accuracy is None else f"{t.accuracy:.2%}"
            shown.add_row(
                *(t.what, str(t.wider), f"{t.cost:.1%}", t.samples, f"{t.sqnr_db:.1f}"),
                *(accuracy, "yes" if t.met else "no"),
            )
        return shown


@dataclasses.dataclass(frozen=True)
class Found:
    """The prepared graph after its methods, the draft with the recipe that was found (auto is off
    in it), what became of the methods, and the search.
    """

    graph: Graph
    draft: Draft
    steps: tuple[Step, ...]
    outcome: Outcome


def search(
    model: Graph,
    data: Any,
    labels: Any,
    recipe: Recipe,
    progress: Progress = silent,
    workers: int = 1,
) -> Found:
    """Finds the recipe for a float model, which stays as it is.

    Of at most 512 samples, spread over the data, every fourth is held out. With the others: int8
    with and without equalization, the better one kept; the recipe's methods; each operator's
    sensitivity (sensitivity.measure); then the shortest prefix of the operators, in the order of
    gain for cost, that meets the target, less those that it turns out not to need. What is found is
    verified on the samples held out; where these do not agree, the search runs again with a margin.
    Where the widest mixture fails too, it is taken, with a warning.

    Target: recipe.target_sqnr and recipe.max_drop; without both, 1 point with labels, else 30 dB.
    Raises DataError for labels that do not fit, or a max_drop without labels.
    """
    target = _target(recipe, labels)
    plain = dataclasses.replace(recipe, auto=False, target_sqnr=None, max_drop=None)
    samples, known = _samples(model, data, labels, plain)
    aside = range(3, len(samples), 4) if len(samples) >= 8 else range(len(samples))
    others = [i for i in range(len(samples)) if i % 4 != 3 or len(samples) < 8]
    graph, draft = _start(model, plain, [samples[i] for i in others], progress, workers)
    refuse_left_in_float(graph, assign(graph, draft.recipe))
    probes = others[:: -(-len(others) // _PROBES)]
    bench = _Bench(
        target,
        Reference(graph, [samples[i] for i in probes], _pick(known, probes)),
        Reference(graph, [samples[i] for i in aside], _pick(known, aside)),
    )
    refined, steps = refine(graph, draft, lambda: [samples[i] for i in others], progress)
    bench.start(graph, refined, draft)
    ranked: list[Sensitivity] = []
    chosen: list[Sensitivity] = []
    if not bench.holds([], "int8"):
        for wider in ("int16x8", "float") if recipe.allow_float else ("int16x8",):
            ranked = measure(graph, draft, bench.probing, wider, progress)
            chosen = _cheapest(bench, ranked, progress)
            if bench.trials[-1].met:
                break
    met = bench.trials[-1].met
    if not met:
        warnings.warn(
            f"{model.origin}: auto: the target ({target}) is not met: the best has "
            f"{bench.trials[-1].sqnr_db:.1f} dB on samples held out{_advice(recipe)}",
            stacklevel=4,
        )
    outcome = Outcome(
        target,
        met,
        tuple(bench.trials),
        tuple(ranked),
        bench.verifying.accuracy(),
        "" if met else _advice(recipe),
    )
    return Found(bench.fitted(chosen), bench.widened(chosen), steps, outcome)


class _Bench:
    """Tries mixtures, and notes what came. margin: dB that the SQNR on the samples of the search
    must have beyond the target.
    """

    def __init__(self, target: Target, probing: Reference, verifying: Reference):
        self.target, self.probing, self.verifying = target, probing, verifying
        self.trials: list[Trial] = []
        self.margin = 0.0

    def start(self, plain: Graph, refined: Graph, draft: Draft) -> None:
        """The prepared graph before and after the methods."""
        self.plain, self.refined, self.draft = plain, refined, draft
        self.whole = max(sum(map(cost_of, plain.main.operators)), 1)

    def meets(self, chosen: Sequence[Sensitivity], what: str) -> bool:
        """On the samples of the search."""
        return self._try(self.probing, "search", chosen, what, self.margin)

    def holds(self, chosen: Sequence[Sensitivity], what: str) -> bool:
        """On the samples held out."""
        return self._try(self.verifying, "held out", chosen, what, 0.0)

    def widened(self, chosen: Sequence[Sensitivity]) -> Draft:
        return dataclasses.replace(self.draft, recipe=widened(self.draft.recipe, chosen))

    def fitted(self, chosen: Sequence[Sensitivity]) -> Graph:
        """The refined graph, without what the methods did for int8 where that is not wanted: ranges
        searched for int8 are not forced upon int16, which needs no clipping, and operators in float
        have their own constants.
        """
        draft, made = self.widened(chosen), self.refined.copy()
        nominal = draft.decide(made).nominal
        narrow = {tensor for tensor, bits in nominal if bits <= 8}
        for tensor, _ in nominal:
            searched = tensor.range is not None and tensor.range.source.endswith(SEARCHED)
            if searched and tensor not in narrow:
                tensor.range = None
        integer = assign(made, draft.recipe).compute
        for op, plain in zip(made.main.operators, self.plain.main.operators, strict=True):
            if op not in integer:
                pairs = zip(op.inputs, plain.inputs, strict=True)
                op.inputs = [b if b is not None and b.is_constant else a for a, b in pairs]
        made.compact()
        return made

    def _try(
        self,
        reference: Reference,
        samples: str,
        chosen: Sequence[Sensitivity],
        what: str,
        margin: float,
    ) -> bool:
        score = reference.score(self.widened(chosen).quantized(self.fitted(chosen)))
        met = self.target.met(score, reference.accuracy(), margin)
        share = sum(s.cost for s in chosen) / self.whole
        self.trials.append(
            Trial(what, len(chosen), share, samples, score.sqnr_db, score.accuracy, met)
        )
        return met


def _cheapest(bench: _Bench, ranked: list[Sensitivity], progress: Progress) -> list[Sensitivity]:
    """A cheap set that meets the target on the samples held out, all operators where none does; the
    last trial is its own.
    """
    bench.margin, chosen = 0.0, list[Sensitivity]()
    with progress("search", None, 0) as advance:
        for attempt in range(_TIGHTENED):
            tighter = _shrunk(bench, _prefix(bench, ranked), ranked, advance)
            if attempt and len(tighter) == len(ranked):
                break
            chosen = tighter
            if bench.holds(chosen, "found"):
                return chosen
            wanted, came = bench.target.sqnr_db, bench.trials[-1].sqnr_db
            if wanted is None or len(chosen) == len(ranked):
                break
            bench.margin += max(wanted - came, 0.0) + 0.1
        rest = [s for s in ranked if s not in chosen]
        while rest:
            count = -(-len(rest) // 4)
            chosen, rest = chosen + rest[:count], rest[count:]
            advance()
            if bench.holds(chosen, f"with {count} more"):
                break
    return chosen


def _prefix(bench: _Bench, ranked: list[Sensitivity]) -> list[Sensitivity]:
    """The shortest prefix that meets the target on the samples of the search, by bisection; all of
    them where none does.
    """
    low, high = 0, len(ranked)  # `low` does not meet it; `high` does, or is all there is
    while high - low > 1:
        middle = (low + high) // 2
        if bench.meets(ranked[:middle], f"the first {middle}"):
            high = middle
        else:
            low = middle
    return ranked[:high]


def _shrunk(
    bench: _Bench,
    chosen: list[Sensitivity],
    ranked: list[Sensitivity],
    advance: Callable[[], None],
) -> list[Sensitivity]:
    """Without the operators that are not needed, the most expensive tried first."""
    if len(chosen) == len(ranked) and not bench.meets(chosen, f"all {len(chosen)}"):
        return chosen
    for candidate in sorted(chosen, key=lambda s: (-s.cost, s.index)):
        fewer = [s for s in chosen if s is not candidate]
        advance()
        if bench.meets(fewer, f"without {candidate.kind} {candidate.index}"):
            chosen = fewer
    return chosen


def _advice(recipe: Recipe) -> str:
    """What the recipe leaves untried, as the end of a sentence."""
    untried = []
    if recipe.io in ("int8", "uint8"):
        untried.append(
            f"inputs and outputs are {recipe.io}: io float (--io float) does not round them"
        )
    if not recipe.allow_float:
        untried.append("allow_float (--allow-float) lets operators stay float")
    return "".join(f"; {hint}" for hint in untried)


def _target(recipe: Recipe, labels: Any) -> Target:
    if recipe.max_drop is not None and labels is None:
        raise DataError("max_drop needs labels: accuracy cannot be measured without")
    if recipe.target_sqnr is not None or recipe.max_drop is not None:
        return Target(recipe.target_sqnr, recipe.max_drop)
    return Target(DEFAULT_SQNR, None) if labels is None else Target(None, DEFAULT_DROP)


def _samples(
    model: Graph, data: Any, labels: Any, recipe: Recipe
) -> tuple[list[Sample], np.ndarray | None]:
    """The kept samples and the label of each."""
    kept = KeptSamples(data, input_specs(prepare(model.copy(), recipe)), _LIMIT)
    count = sum(1 for _ in kept)
    if labels is None:
        return kept.kept, None
    known = np.asarray(labels).reshape(-1)
    if known.dtype.kind not in "iu" or len(known) != count:
        raise DataError(
            f"labels must be one integer for each of the {count} samples, got {len(known)} of "
            f"{known.dtype}"
        )
    return kept.kept, known[kept.numbers()]


def _start(
    model: Graph, recipe: Recipe, samples: list[Sample], progress: Progress, workers: int
) -> tuple[Graph, Draft]:
    """Prepared and calibrated, equalized or not, whichever int8 form is closer to float."""
    best: tuple[float, Graph, Draft] | None = None
    for equalized in (True,) if recipe.equalize is True else (False, True):
        tried = dataclasses.replace(recipe, equalize=equalized)
        graph = prepare(model.copy(), tried)
        if best is not None and graph.fingerprint() == best[1].fingerprint():
            break
        stats = calibrate_prepared(graph, samples, recipe=tried, progress=progress, workers=workers)
        draft = Draft(tried, stats)
        score = Reference(graph, samples[: 2 * _PROBES]).score(draft.quantized(graph))
        if best is None or sum(score.noise) < best[0]:
            best = sum(score.noise), graph, draft
    assert best is not None
    return best[1], best[2]


def _pick(labels: np.ndarray | None, places: Sequence[int]) -> np.ndarray | None:
    return None if labels is None else labels[list(places)]
