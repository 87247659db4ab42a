"""Python tests: one pytest file, run by the interpreter of a named environment (tools/environments)."""

load("@environments//:defs.bzl", "PYTHON")

def _pytest(ctx):
    script = ctx.actions.declare_file(ctx.label.name)
    files = [ctx.file.src] + ctx.files.data
    variables = dict(ctx.attr.env)
    lines = ["export %s='%s'" % (key, ctx.expand_location(value, ctx.attr.data)) for key, value in variables.items()]
    ctx.actions.write(
        script,
        """#!/usr/bin/env bash
set -euo pipefail
export HOME="$TEST_TMPDIR" PYTHONPATH="$PWD/python:$PWD/tests" PYTHONDONTWRITEBYTECODE=1 PYTHONHASHSEED=0
export HYPOTHESIS_STORAGE_DIRECTORY="$TEST_TMPDIR/hypothesis" TF_CPP_MIN_LOG_LEVEL=2 PYTHONUNBUFFERED=1
%s
exec %s -m pytest -q -p no:cacheprovider --basetemp="$TEST_TMPDIR/pytest" --junitxml="$XML_OUTPUT_FILE" \\
  --durations=5 ${TESTBRIDGE_TEST_ONLY:+-k "$TESTBRIDGE_TEST_ONLY"} "$@" %s
""" % ("\n".join(lines), PYTHON[ctx.attr.environment], ctx.file.src.short_path),
        is_executable = True,
    )
    runfiles = ctx.runfiles(files = files)
    for target in ctx.attr.data:
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = script, runfiles = runfiles)]

_pytest_test = rule(
    implementation = _pytest,
    test = True,
    attrs = {
        "src": attr.label(mandatory = True, allow_single_file = [".py"]),
        "data": attr.label_list(allow_files = True),
        "env": attr.string_dict(),
        "environment": attr.string(mandatory = True, values = sorted(PYTHON)),
    },
)

def int8x_py_test(name, env = "main", size = "medium", data = [], package = True, environment_variables = {}, **kwargs):
    """tests/NAME.py under `python -m pytest`, with the package int8x importable.

    Args:
      name: the file, without .py.
      env: the environment, a file of tools/environments.
      size: small 60 s, medium 300 s, large 900 s.
      data: what else the test reads; the modules beside the tests are always there.
      package: whether the test may import int8x, and is run again when that changes.
      environment_variables: set for the test; $(location ...) is expanded.
      **kwargs: tags, timeout, args, ...
    """
    _pytest_test(
        name = name,
        size = size,
        src = name + ".py",
        data = data + (["//python/int8x"] if package else []) + native.glob(["*.py"], exclude = ["*_test.py"]),
        env = environment_variables,
        environment = env,
        **kwargs
    )
