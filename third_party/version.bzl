"""int8x's version, from the one file that says it, as VERSION of @version//:defs.bzl."""

def _version(repository_ctx):
    for line in repository_ctx.read(repository_ctx.attr.file).splitlines():
        if line.startswith("__version__ = "):
            repository_ctx.file("BUILD", "")
            repository_ctx.file("defs.bzl", "VERSION = %s\n" % line.split(" = ")[1])
            return
    fail("%s has no line `__version__ = ...`" % repository_ctx.attr.file)

version_of = repository_rule(
    implementation = _version,
    attrs = {"file": attr.label(mandatory = True, allow_single_file = True)},
)
