"""C++ of the delegate: libraries, kernel families, the plugin, the Python extension."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_library")
load("@version//:defs.bzl", "VERSION")
load(":instruction_sets.bzl", "INSTRUCTION_SETS", "instruction_set_of")
load(":layers.bzl", "layer_visibility")
load(":leaf_test.bzl", "leaf_test")

_LANGUAGE = [
    "-std=c++17",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Werror",
] + select({
    "//tools/build_rules:opt": ["-O3", "-fomit-frame-pointer", "-fno-stack-protector"],
    "//conditions:default": [],
})

DELEGATE_COPTS = _LANGUAGE + [
    "-fno-exceptions",
    "-fno-rtti",
    "-fvisibility-inlines-hidden",
    "-ffunction-sections",
    "-fdata-sections",
]

# GCC 12 calls its own AVX-512 header uninitialized.
_LEAF_COPTS = DELEGATE_COPTS + ["-Wno-uninitialized", "-Wno-maybe-uninitialized"]

# One .so that runs where libstdc++ is older than the compiler's: the archive comes first and leaves nothing for the
# shared one, which --as-needed then drops.
_SELF_CONTAINED = [
    "-static-libgcc",
    "-Wl,--no-undefined",
    "-Wl,-Bsymbolic",
    "-Wl,--exclude-libs,ALL",
    "-Wl,--gc-sections",
    "-l:libstdc++.a",
    "-Wl,--as-needed",
    "-lpthread",
    "-ldl",
]

_EXTENSION_EXPORTS = "//tools/build_rules:extension.lds"

def int8x_cc_library(name, srcs = None, hdrs = None, copts = [], visibility = None, **kwargs):
    """A library of the delegate: every .cc, .h and .inc of its folder unless srcs and hdrs say otherwise.

    Who may use it follows from its folder (layers.bzl).
    """
    cc_library(
        name = name,
        srcs = native.glob(["*.cc"]) if srcs == None else srcs,
        hdrs = native.glob(["*.h", "*.inc"], allow_empty = True) if hdrs == None else hdrs,
        copts = DELEGATE_COPTS + copts,
        local_defines = ["INT8X_VERSION=\\\"%s\\\"" % VERSION],
        visibility = visibility or layer_visibility(),
        **kwargs
    )

def int8x_kernel_library(name, deps = [], srcs = None, hdrs = None, visibility = None, **kwargs):
    """A kernel family: its headers, its portable sources, and one leaf library per instruction set.

    Flags and the CPU family that a leaf is compiled for follow from its file name (instruction_sets.bzl).
    Makes NAME, and NAME_leaf_test, which proves that no leaf leaves a symbol that the linker could share with code for
    other CPUs.
    """
    srcs = native.glob(["*.cc"]) if srcs == None else srcs
    hdrs = native.glob(["*.h", "*.inc"], allow_empty = True) if hdrs == None else hdrs
    headers = name + "_headers"
    private = ["//visibility:private"]
    cc_library(name = headers, hdrs = hdrs, deps = deps, visibility = private)

    leaves = {"x86": [], "arm64": []}
    portable = []
    for src in srcs:
        isa = instruction_set_of(src)
        if not isa:
            portable.append(src)
            continue
        leaf = name + "_" + src[:-len(".cc")]
        leaves[isa.split("_")[0]].append(":" + leaf)
        cc_library(
            name = leaf,
            srcs = [src],
            copts = _LEAF_COPTS + [flag for flag in INSTRUCTION_SETS[isa].split(" ") if flag],
            linkstatic = True,
            tags = ["manual"],  # built where its CPU family is the target, through NAME
            visibility = private,
            deps = [":" + headers],
        )
    chosen = select({
        "//tools/build_rules:x86": leaves["x86"],
        "//tools/build_rules:arm64": leaves["arm64"],
        "//conditions:default": [],
    })
    cc_library(
        name = name,
        srcs = portable,
        hdrs = hdrs,
        copts = DELEGATE_COPTS,
        alwayslink = True,  # leaves call back into it, against the order of archives
        visibility = visibility or layer_visibility(),
        deps = deps + chosen,
        **kwargs
    )
    if leaves["x86"] + leaves["arm64"]:
        leaf_test(
            name = name + "_leaf_test",
            size = "small",
            arm64_leaves = leaves["arm64"],
            leaves = select({
                "//tools/build_rules:x86": leaves["x86"],
                "//conditions:default": [],
            }),
        )

def int8x_plugin(name, exports, deps, **kwargs):
    """The delegate as a shared library that shows nothing but what the version script `exports` names."""
    cc_binary(
        name = name,
        linkshared = True,
        linkopts = _SELF_CONTAINED + ["-Wl,--version-script=$(location %s)" % exports],
        visibility = layer_visibility(),
        deps = deps + [exports],
        **kwargs
    )

def int8x_python_extension(name, srcs, deps, **kwargs):
    """A Python extension module, written with pybind11."""
    cc_binary(
        name = name,
        srcs = srcs,
        copts = _LANGUAGE,
        linkshared = True,
        local_defines = ["INT8X_VERSION=\\\"%s\\\"" % VERSION],
        linkopts = [flag for flag in _SELF_CONTAINED if flag != "-Wl,--no-undefined"] +
                   ["-Wl,--version-script=$(location %s)" % _EXTENSION_EXPORTS],
        deps = deps + ["//third_party:pybind11", _EXTENSION_EXPORTS],
        **kwargs
    )
