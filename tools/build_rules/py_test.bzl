"""Python programs and tests, run by the interpreter of a named environment (tools/environments)."""

load("@environments//:defs.bzl", "MODELS", "PYTHON")

# The files lie where Bazel says, or beside the program where it is started by hand or by an action.
_HEAD = """#!/usr/bin/env bash
set -euo pipefail
files=${RUNFILES_DIR:-${TEST_SRCDIR:-$0.runfiles}}
[[ "$files" == /* ]] || files=$PWD/$files
root=$files/int8x
export PYTHONPATH="$root/python:$root/tests" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 TF_CPP_MIN_LOG_LEVEL=2
"""

_PROGRAM = """export HOME="${HOME:-${TMPDIR:-/tmp}}"
exec "$PYTHON" "$root/$FILE" "$@"
"""

_TEST = """export HOME="$TEST_TMPDIR" HYPOTHESIS_STORAGE_DIRECTORY="$TEST_TMPDIR/hypothesis" PYTHONHASHSEED=0
exec "$PYTHON" -m pytest -q -p no:cacheprovider --basetemp="$TEST_TMPDIR/pytest" --junitxml="$XML_OUTPUT_FILE" \\
  --durations=5 ${TESTBRIDGE_TEST_ONLY:+-k "$TESTBRIDGE_TEST_ONLY"} "$@" "$FILE"
"""

def _python(ctx, command):
    variables = ["FILE='%s'" % ctx.file.src.short_path, "PYTHON='%s'" % PYTHON[ctx.attr.environment]]
    variables.append("export INT8X_MODELS='%s'" % MODELS)
    variables += ["export %s='%s'" % (name, ctx.expand_location(value, ctx.attr.data)) for name, value in ctx.attr.env.items()]
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        script,
        _HEAD + "\n".join(variables) + "\n" + command,
        is_executable = True,
    )
    runfiles = ctx.runfiles(files = [ctx.file.src] + ctx.files.data)
    for target in ctx.attr.data:
        runfiles = runfiles.merge(target[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = script, runfiles = runfiles)]

def _program(ctx):
    return _python(ctx, _PROGRAM)

def _test(ctx):
    return _python(ctx, _TEST)

_ATTRIBUTES = {
    "data": attr.label_list(allow_files = True),
    "env": attr.string_dict(),
    "environment": attr.string(mandatory = True, values = sorted(PYTHON)),
    "src": attr.label(mandatory = True, allow_single_file = [".py"]),
}

_python_program = rule(
    implementation = _program,
    executable = True,
    attrs = _ATTRIBUTES,
)

_pytest_test = rule(
    implementation = _test,
    test = True,
    attrs = _ATTRIBUTES,
)

def int8x_py_program(name, src, env = "main", data = [], **kwargs):
    """A script that may import the package and the modules beside it: `./bazelw run //benchmarks:models -- --help`."""
    _python_program(
        name = name,
        src = src,
        data = data + ["//python/int8x"] + native.glob(["*.py"], exclude = ["*_test.py"]),
        environment = env,
        **kwargs
    )

def _output(ctx):
    ctx.actions.run(
        outputs = [ctx.outputs.out],
        executable = ctx.executable.program,
        arguments = [ctx.outputs.out.path],
        mnemonic = "PythonOutput",
    )

# The file that a program writes when it is called with its path. The program is the one that the tests use: a genrule
# would build the whole package a second time, for the machine that builds.
int8x_py_output = rule(
    implementation = _output,
    attrs = {
        "out": attr.output(mandatory = True),
        "program": attr.label(mandatory = True, executable = True, cfg = "target"),
    },
)

def int8x_py_test(name, src = None, env = "main", size = "medium", data = [], package = True, environment_variables = {}, **kwargs):
    """A file of tests under `python -m pytest`, with the package int8x importable.

    Args:
      name: of the test.
      src: the file; NAME.py if not given.
      env: the environment, a file of tools/environments.
      size: small 60 s, medium 300 s, large 900 s.
      data: what else the test reads; the modules beside the tests are always there.
      package: whether the test may import int8x, and is run again when that changes.
      environment_variables: set for the test; $(rootpath LABEL) is the path of a file of data.
      **kwargs: tags, timeout, args, ...
    """
    _pytest_test(
        name = name,
        size = size,
        src = src or name + ".py",
        data = data + (["//python/int8x"] if package else []) + native.glob(["*.py"], exclude = ["*_test.py"]),
        env = environment_variables,
        environment = env,
        **kwargs
    )
