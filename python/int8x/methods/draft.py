"""How methods quantize on trial: a prepared graph to its quantized form, as often as wanted."""

import dataclasses

from int8x.calibration.observer import Stats
from int8x.quantization.grids import Grids, decide
from int8x.quantization.lowering import IO_BITS, lower
from int8x.quantization.precision import assign
from int8x.quantization.recipe import Recipe
from int8x.tflite.graph import Graph
from int8x.tflite.quant_params import QuantParams

Sources = dict[str, QuantParams]
Left = tuple[tuple[str, str, str], ...]


@dataclasses.dataclass(frozen=True)
class Draft:
    """A recipe and statistics, with which prepared graphs are quantized on trial.

    stats: of the graph that was calibrated; they serve also after a method has changed constants.

    >>> trial = Draft(recipe, stats).quantized(graph)
    """

    recipe: Recipe
    stats: Stats | None

    def decide(self, graph: Graph, recipe: Recipe | None = None) -> Grids:
        """The grids that the graph would get, under the draft's recipe or another one."""
        recipe = recipe or self.recipe
        bits = IO_BITS.get(recipe.io)
        main = graph.main
        faces = [] if bits is None else [(t, bits) for t in (*main.inputs, *main.outputs)]
        return decide(main, assign(graph, recipe), self.stats, faces)

    def quantized(self, graph: Graph, recipe: Recipe | None = None) -> Graph:
        """The quantized form, a new graph; `graph` stays as it is."""
        made = graph.copy()
        self.quantize(made, recipe)
        return made

    def quantize(self, graph: Graph, recipe: Recipe | None = None) -> tuple[Sources, Left]:
        """Quantizes the graph in place. Returns each tensor's grid and the operators left in
        float.
        """
        recipe = recipe or self.recipe
        precision = assign(graph, recipe)
        sources = lower(graph, self.decide(graph, recipe), precision)
        return sources, tuple(precision.left)
