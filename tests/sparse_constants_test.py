"""Sparse constants become dense: as they were before they were made sparse, and as TFLite's DENSIFY
makes them, whatever the order, the blocks and the levels.
"""

import int8x
import numpy as np
import pytest
from float_nets import Net, on_grid
from int8x.quantization.passes import fold_float16, fold_sparse
from int8x.runtime.runner import Runner
from int8x.tflite.graph import Graph
from int8x.tflite.schema import make, value
from int8x.tflite.sparsity import dense
from int8x.tflite.subgraph import Tensor

SEED = 20240611


def sparse(array: np.ndarray, order: list[int], blocks: dict[int, int], csr: set[int]) -> Tensor:
    """A sparse constant. blocks: size of the block along a dimension; csr: levels that list their
    indices, the others are dense.
    """
    rank, axes = array.ndim, sorted(blocks)
    outer = [d // blocks.get(axis, 1) for axis, d in enumerate(array.shape)]
    split = [[d, blocks[a]] if a in blocks else [d] for a, d in enumerate(outer)]
    places = np.cumsum([0, *map(len, split)])
    split_axes = [int(places[a]) for a in range(rank)] + [int(places[a]) + 1 for a in axes]
    visited = array.reshape([d for parts in split for d in parts]).transpose(
        [split_axes[d] for d in order]
    )
    levels, nodes = [], [visited]
    for number, size in enumerate(visited.shape):
        if number in csr:
            kept = [[i for i in range(size) if np.any(node[i])] for node in nodes]
            segments = np.cumsum([0, *map(len, kept)])
            indices = np.array([i for chosen in kept for i in chosen], np.int64)
            narrow = indices.max(initial=0) < 256
            table = "Uint8Vector" if narrow else "Uint16Vector"
            kind = value("SparseIndexVector", table)
            level = make(
                "DimensionMetadata",
                format=value("DimensionType", "SPARSE_CSR"),
                arraySegmentsType=value("SparseIndexVector", "Int32Vector"),
                arraySegments=make("Int32Vector", values=segments.astype(np.int32)),
                arrayIndicesType=kind,
                arrayIndices=make(table, values=indices.astype(np.uint8 if narrow else np.uint16)),
            )
        else:
            kept = [list(range(size))] * len(nodes)
            level = make("DimensionMetadata", denseSize=size)
        levels.append(level)
        nodes = [node[i] for node, chosen in zip(nodes, kept, strict=True) for i in chosen]
    tensor = Tensor("weights", array.shape)
    tensor.data = np.array(nodes, array.dtype)
    tensor.shape, tensor.raw = array.shape, make("Tensor", hasRank=True)
    tensor.raw.sparsity = make(
        "SparsityParameters",
        traversalOrder=np.array(order, np.int32),
        blockMap=np.array(axes, np.int32) if axes else None,
        dimMetadata=levels,
    )
    return tensor


def pruned(random: np.random.Generator, shape: tuple[int, ...], dtype) -> np.ndarray:
    array = random.normal(size=shape).astype(dtype)
    array[random.random(shape) < 0.8] = 0
    return array


LAYOUTS = [
    ((5, 7), [0, 1], {}, {1}),
    ((5, 7), [1, 0], {}, {1}),
    ((6, 7), [0, 1], {}, {0, 1}),
    ((8, 12), [0, 1, 2, 3], {0: 2, 1: 4}, {1}),
    ((8, 12), [1, 0, 2, 3], {0: 4, 1: 3}, {0, 1}),
    ((8, 16), [0, 1, 2], {1: 4}, {1}),
    ((4, 3, 3, 8), [0, 1, 2, 3], {}, {3}),
    ((4, 3, 3, 8), [3, 0, 1, 2, 4], {3: 4}, {1, 3}),
    ((3, 300), [0, 1], {}, {1}),
    ((9,), [0], {}, {0}),
]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape, order, blocks, csr", LAYOUTS)
def test_a_sparse_constant_is_what_it_was_before_and_what_densify_makes(
    shape, order, blocks, csr, dtype
):
    random = np.random.default_rng(SEED)
    for zeros in ("some", "all", "none"):
        array = pruned(random, shape, dtype)
        array = {"some": array, "all": np.zeros_like(array), "none": np.abs(array) + 1}[
            zeros
        ].astype(dtype)
        tensor = sparse(array, order, blocks, csr)
        assert dense(tensor).tobytes() == array.tobytes()
        if zeros != "all":
            assert densified(tensor, array).tobytes() == array.tobytes()


def densified(tensor: Tensor, like: np.ndarray) -> np.ndarray:
    """What TFLite's own DENSIFY makes of it."""
    net = Net()
    net.input(1)
    net.main.tensors.append(tensor)
    made = net.main.add_tensor("dense", like.shape, tensor.dtype)
    net.main.add_operator("DENSIFY", [tensor], [made], options="DensifyOptions")
    graph = net.done(made)
    runner = Runner(graph.to_bytes(), "model", 1, "BUILTIN_REF")
    runner.run([np.zeros(1, np.float32)])
    return np.array(runner.value(graph.main.tensors.index(made)))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_network_with_sparse_weights_becomes_int8(dtype):
    net = Net()
    y = net.conv(net.input(1, 6, 6, 4), 8)
    conv = net.main.operators[-1]
    array = pruned(net.random, (8, 3, 3, 4), dtype)
    weights = sparse(array, [0, 1, 2, 3], {}, {3})
    net.main.tensors.append(weights)
    made = net.main.add_tensor("dense", array.shape, weights.dtype)
    net.main.add_operator("DENSIFY", [weights], [made], before=conv, options="DensifyOptions")
    if dtype == np.float16:
        source, made = made, net.main.add_tensor("float", array.shape)
        net.main.add_operator("DEQUANTIZE", [source], [made], before=conv)
    conv.inputs[1] = made
    graph = Graph.from_bytes(net.done(y).to_bytes())
    coded = int8x.quantize(graph, data=on_grid((1, 6, 6, 4)))
    assert [op.kind for op in coded.main.operators] == ["CONV_2D"]
    kernel = coded.main.operators[0].inputs[1]
    assert np.all(kernel.data[array == 0] == 0) and np.any(kernel.data)
    fold_sparse(graph)
    fold_float16(graph)
    np.testing.assert_array_equal(graph.main.operators[0].inputs[1].data, array.astype(np.float32))


def test_sparse_weights_that_an_operator_reads_itself_become_dense():
    net = Net()
    y = net.dense(net.input(1, 12), 8)
    array = pruned(net.random, (8, 12), np.float32)
    weights = sparse(array, [0, 1, 2], {1: 4}, {1})
    net.main.tensors.append(weights)
    net.main.operators[-1].inputs[1] = weights
    graph = Graph.from_bytes(net.done(y).to_bytes())
    fold_sparse(graph)
    np.testing.assert_array_equal(graph.main.operators[0].inputs[1].data, array)


def test_a_file_with_sparse_constants_is_written_back_as_it_was():
    net = Net()
    y = net.dense(net.input(1, 12), 8)
    array = pruned(net.random, (8, 12), np.float32)
    net.main.operators[-1].inputs[1] = sparse(array, [0, 1, 2], {1: 4}, {1})
    net.main.compact()
    data = net.done(y).to_bytes()
    again = Graph.from_bytes(data)
    assert again.to_bytes() == data
    assert dense(again.main.operators[0].inputs[1]).tobytes() == array.tobytes()


@pytest.mark.parametrize(
    "edit, told",
    [
        (lambda s: setattr(s, "traversalOrder", [0, 0, 2]), "cannot be traversed"),
        (lambda s: setattr(s, "traversalOrder", None), "cannot be traversed"),
        (lambda s: setattr(s, "blockMap", [7]), "cannot be blocked"),
        (lambda s: setattr(s.dimMetadata[0], "denseSize", 2_000_000_000), "its shape 8"),
        (lambda s: setattr(s.dimMetadata[2], "denseSize", 5), "do not divide 12"),
        (lambda s: setattr(s.dimMetadata[2], "denseSize", 0), "do not divide 12"),
        (lambda s: setattr(s.dimMetadata[1], "arraySegments", None), "does not list 8 segments"),
        (lambda s: s.dimMetadata[1].arrayIndices.values.fill(200), r"not \d+ in \[0, 3\)"),
        (lambda s: s.dimMetadata[1].arraySegments.values.fill(0), r"not 0 in \[0, 3\)"),
    ],
)
def test_parameters_that_contradict_each_other_are_named(edit, told):
    array = pruned(np.random.default_rng(SEED), (8, 12), np.float32)
    tensor = sparse(array, [0, 1, 2], {1: 4}, {1})
    edit(tensor.raw.sparsity)
    with pytest.raises(int8x.ModelError, match=f"sparse tensor 'weights': .*{told}"):
        dense(tensor)


def test_a_dense_form_of_any_size_is_refused_before_it_is_made():
    tensor = sparse(np.ones((2, 3), np.float32), [0, 1], {}, {0, 1})
    tensor.shape = (1 << 30, 1 << 30)
    with pytest.raises(int8x.ModelError, match="6 values cannot fill"):
        dense(tensor)
