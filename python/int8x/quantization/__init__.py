"""From a float graph and statistics to an int8 graph: recipe, passes, grids, constants."""
