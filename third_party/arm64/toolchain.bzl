"""How Bazel calls Debian's cross compiler for arm64."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load("@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl", "feature", "flag_group", "flag_set", "tool_path", "with_feature_set")

_COMPILE = [ACTION_NAMES.c_compile, ACTION_NAMES.cpp_compile, ACTION_NAMES.assemble, ACTION_NAMES.preprocess_assemble]

def _flags(actions, flags, with_features = []):
    return flag_set(
        actions = actions,
        flag_groups = [flag_group(flags = flags)],
        with_features = with_features,
    )

def _config(ctx):
    tools = {
        "ar": "ar",
        "cpp": "cpp",
        "gcc": "g++",
        "gcov": "gcov",
        "ld": "ld",
        "nm": "nm",
        "objcopy": "objcopy",
        "objdump": "objdump",
        "strip": "strip",
    }
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        toolchain_identifier = "arm64",
        host_system_name = "local",
        target_system_name = "aarch64-linux-gnu",
        target_cpu = "aarch64",
        target_libc = "glibc",
        compiler = "gcc",
        abi_version = "gcc",
        abi_libc_version = "glibc",
        cxx_builtin_include_directories = [
            "/usr/aarch64-linux-gnu/include",
            "/usr/lib/gcc-cross/aarch64-linux-gnu",
        ],
        tool_paths = [
            tool_path(name = name, path = "/usr/bin/aarch64-linux-gnu-" + tool)
            for name, tool in tools.items()
        ],
        features = [
            feature(name = "opt"),
            feature(name = "dbg"),
            feature(
                name = "arm64_flags",
                enabled = True,
                flag_sets = [
                    _flags(_COMPILE, ["-Wno-builtin-macro-redefined", "-D__DATE__=\"redacted\"", "-D__TIMESTAMP__=\"redacted\"", "-D__TIME__=\"redacted\""]),
                    _flags(_COMPILE, ["-O2"], [with_feature_set(features = ["opt"])]),
                    _flags(_COMPILE, ["-g"], [with_feature_set(features = ["dbg"])]),
                ],
            ),
        ],
    )

arm64_toolchain_config = rule(
    implementation = _config,
    provides = [CcToolchainConfigInfo],
)
