"""Who may stand on which layer of the C++. Bazel holds it through visibility, tools/checks through the includes.

A key is a folder; its value names the folders whose code may use it ("/..." with all below). A folder may always use
itself, and whatever is not under delegate/ (_native, tests, benchmarks) is named like the rest.
"""

_OUTSIDE = ["tests/...", "benchmarks/..."]

_ABOVE_PLAN = ["delegate/ops", "delegate"] + _OUTSIDE

_ABOVE_KERNELS = ["delegate/plan", "python/int8x"] + _ABOVE_PLAN

LAYERS = {
    "delegate/base": ["delegate/tflite", "delegate/fixed_point", "delegate/quantization", "delegate/kernels/..."] + _ABOVE_KERNELS,
    "delegate/fixed_point": ["delegate/quantization", "delegate/kernels/..."] + _ABOVE_KERNELS,
    "delegate/quantization": _ABOVE_KERNELS,
    "delegate/kernels": _ABOVE_KERNELS,
    "delegate/kernels/gemm": ["delegate/kernels/batch_matmul", "delegate/kernels/conv", "delegate/kernels/fully_connected"] + _ABOVE_KERNELS,
    "delegate/kernels/requantize": [
        "delegate/kernels/batch_matmul",
        "delegate/kernels/conv",
        "delegate/kernels/fully_connected",
        "delegate/kernels/gemm",
        "delegate/kernels/sparse",
    ] + _ABOVE_KERNELS,
    "delegate/plan": _ABOVE_PLAN,
    "delegate/tflite": _ABOVE_PLAN,
    "delegate/ops": ["delegate"] + _OUTSIDE,
    "delegate": ["python/int8x"] + _OUTSIDE,
}

def layer_of(package):
    """The layer that a package belongs to: itself or the nearest folder above it that LAYERS names, or None."""
    parts = package.split("/")
    for length in range(len(parts), 0, -1):
        layer = "/".join(parts[:length])
        if layer in LAYERS:
            return layer
    return None

def layer_visibility():
    """The visibility of this package's libraries, by LAYERS."""
    layer = layer_of(native.package_name())
    if not layer:
        fail("//%s belongs to no layer of tools/build_rules/layers.bzl" % native.package_name())
    return [
        "//" + (above[:-len("/...")] + ":__subpackages__" if above.endswith("/...") else above + ":__pkg__")
        for above in LAYERS[layer]
    ]
