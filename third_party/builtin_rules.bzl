"""Stand-ins for the rule repositories that Debian's Bazel expects and does not carry.

bazel-bootstrap 4.2.3 loads @rules_cc, @rules_java and @remote_coverage_tools, which it would download. The
stand-ins hand out the native rules of the same names. Any other Bazel fetches the real repositories itself.
"""

_NATIVE_RULES = {
    "rules_cc": ("cc", [
        "cc_binary",
        "cc_import",
        "cc_library",
        "cc_proto_library",
        "cc_test",
        "cc_toolchain",
        "cc_toolchain_suite",
        "fdo_prefetch_hints",
        "fdo_profile",
        "objc_import",
        "objc_library",
    ]),
    "rules_java": ("java", [
        "java_binary",
        "java_import",
        "java_library",
        "java_package_configuration",
        "java_plugin",
        "java_proto_library",
        "java_runtime",
        "java_test",
        "java_toolchain",
    ]),
}

def _stand_in(repository_ctx):
    repository_ctx.file("BUILD", "")
    folder = repository_ctx.attr.folder
    if folder:
        repository_ctx.file(folder + "/BUILD", "")
        repository_ctx.file(folder + "/defs.bzl", "".join(
            ["{0} = native.{0}\n".format(rule) for rule in repository_ctx.attr.rules],
        ))
    else:
        repository_ctx.file("BUILD", """filegroup(
    name = "coverage_report_generator",
    visibility = ["//visibility:public"],
)
""")

_stand_in_repository = repository_rule(
    implementation = _stand_in,
    attrs = {
        "folder": attr.string(),
        "rules": attr.string_list(),
    },
)

def builtin_rules():
    """Makes the stand-ins, where this Bazel is Debian's (it does not know its own version)."""
    version = native.bazel_version if hasattr(native, "bazel_version") else ""
    if version[:1].isdigit():
        return
    for name, (folder, rules) in _NATIVE_RULES.items():
        _stand_in_repository(name = name, folder = folder, rules = rules)
    _stand_in_repository(name = "remote_coverage_tools")
