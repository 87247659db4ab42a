"""Accuracy methods: each edits the prepared float graph, or the ranges given to it, so that what is
quantized afterwards loses less.

`equalization` needs no samples and is one of passes.PASSES; the others run the float and the
quantized model on samples, in the order of `refinement.METHODS`.
"""
