"""C++ tests: on this machine, and the same ones for arm64 under qemu."""

load("@rules_cc//cc:defs.bzl", "cc_binary", "cc_test")
load(":transitions.bzl", "to_arm64")

TEST_COPTS = ["-std=c++17", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror"]

def int8x_cc_test(name, srcs = None, deps = [], size = "small", copts = [], **kwargs):
    """tests/NAME.cc with googletest's main."""
    cc_test(
        name = name,
        size = size,
        srcs = ([name + ".cc"] if srcs == None else srcs) + native.glob(["*.h"], allow_empty = True),
        copts = TEST_COPTS + copts,
        linkstatic = True,
        deps = deps + ["//third_party:gtest_main"],
        **kwargs
    )

def int8x_cc_fuzzer(name):
    """NAME.cc with libFuzzer's main, built by --config=fuzz alone."""
    cc_binary(
        name = name,
        testonly = True,
        srcs = [name + ".cc"],
        copts = TEST_COPTS,
        linkstatic = True,
        tags = ["manual"],
        deps = ["//tests/tflite_host"],
    )

# The cross compiler's C library is where it is installed beside this machine's own.
_EMULATE = """#!/usr/bin/env bash
export INT8X_EMULATED_CPU={0}
[[ ! -d /usr/aarch64-linux-gnu/lib ]] || export QEMU_LD_PREFIX=/usr/aarch64-linux-gnu
exec qemu-aarch64-static -cpu {0} {1} "$@"
"""

def _emulated_test(ctx):
    test = ctx.attr.test[0][DefaultInfo]
    program = test.files_to_run.executable
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        script,
        _EMULATE.format(
            ctx.attr.cpu,
            program.short_path,
        ),
        is_executable = True,
    )
    return [DefaultInfo(
        executable = script,
        runfiles = ctx.runfiles(files = [program]).merge(test.default_runfiles),
    )]

_emulated_arm64_test = rule(
    implementation = _emulated_test,
    test = True,
    attrs = {
        "cpu": attr.string(mandatory = True),
        "test": attr.label(mandatory = True, cfg = to_arm64, executable = True),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)

# The arch that detection picks on each: neon, neondot, neoni8mm. qemu 7.2's SME is left out: it computes wrongly.
_CPUS = ["cortex-a53", "cortex-a76", "max,sme=off"]

def int8x_arm64_test(name, test, cpus = _CPUS, size = "medium", **kwargs):
    """The cc test `test`, compiled for arm64 and run under qemu once per CPU: NAME_cortex_a53, ..., and the suite NAME."""
    tests = []
    for cpu in cpus:
        tests.append(name + "_" + cpu.split(",")[0].replace("-", "_"))
        _emulated_arm64_test(
            name = tests[-1],
            size = size,
            cpu = cpu,
            test = test,
            **kwargs
        )
    native.test_suite(name = name, tests = tests)
