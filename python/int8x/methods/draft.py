"""How methods quantize on trial: a prepared graph to its quantized form, as often as wanted."""

import dataclasses
from collections.abc import Callable

from int8x.graph import Graph
from int8x.grids import Grids
from int8x.recipe import Recipe


@dataclasses.dataclass(frozen=True)
class Draft:
    """Calibrated, with a recipe, but not lowered for good.

    lower: the quantized form of a prepared graph under a recipe; a new graph. decide: the grids
    that it would get. Both use the statistics of the graph that was calibrated, whatever a method has
    made of its constants since.
    """

    recipe: Recipe
    lower: Callable[[Graph, Recipe], Graph]
    decide: Callable[[Graph, Recipe], Grids]

    def quantized(self, graph: Graph) -> Graph:
        """The quantized form under the draft's own recipe; `graph` stays as it is."""
        return self.lower(graph, self.recipe)
