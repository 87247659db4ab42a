"""Proof that the object files of instruction-set leaves share nothing with the rest of the program."""

load(":transitions.bzl", "to_arm64")

def _archives(leaves):
    archives = []
    for leaf in leaves:
        for linker_input in leaf[CcInfo].linking_context.linker_inputs.to_list():
            if linker_input.owner == leaf.label:
                archives += [library.pic_static_library or library.static_library for library in linker_input.libraries]
    return archives

def _leaf_test(ctx):
    archives = _archives(ctx.attr.leaves + ctx.attr.arm64_leaves)
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        script,
        "#!/usr/bin/env bash\nexec %s %s\n" % (
            ctx.file._check.short_path,
            " ".join([repr(archive.short_path) for archive in archives]),
        ),
        is_executable = True,
    )
    return [DefaultInfo(
        executable = script,
        runfiles = ctx.runfiles(files = archives + [ctx.file._check]),
    )]

leaf_test = rule(
    implementation = _leaf_test,
    test = True,
    attrs = {
        "arm64_leaves": attr.label_list(providers = [CcInfo], cfg = to_arm64),
        "leaves": attr.label_list(providers = [CcInfo]),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
        "_check": attr.label(default = "//tools/build_rules:check_leaf.sh", allow_single_file = True),
    },
)
