"""The named Python environments that bazelw made, as the repository @environments.

bazelw exports INT8X_ENVIRONMENTS, "name=folder" words with a space between. The repository holds
  defs.bzl      PYTHON = {name: path of its interpreter}, MODELS = the folder of the real models
  :python       Python.h, for extension modules
  :pybind11     pybind11's headers, and :python
"""

_BUILD = """load("@rules_cc//cc:defs.bzl", "cc_library")

package(default_visibility = ["//visibility:public"])

cc_library(
    name = "python",
    hdrs = glob(["python/**/*.h"]),
    includes = ["python"],
)

cc_library(
    name = "pybind11",
    hdrs = glob(["pybind11_include/**/*.h"]),
    includes = ["pybind11_include"],
    deps = [":python"],
)
"""

def _ask(repository_ctx, python, expression):
    result = repository_ctx.execute([python, "-c", "import sysconfig; print(%s)" % expression])
    if result.return_code != 0:
        fail("%s: %s" % (python, result.stderr))
    return result.stdout.strip()

def _python_environments(repository_ctx):
    words = repository_ctx.os.environ.get("INT8X_ENVIRONMENTS", "")
    folders = dict([word.split("=", 1) for word in words.split(" ") if word])
    if "main" not in folders:
        fail("INT8X_ENVIRONMENTS does not name the environment main: run ./bazelw, which makes it, instead of bazel")
    models = folders.pop("models", "")
    interpreters = {name: folder + "/bin/python" for name, folder in folders.items()}
    main = interpreters["main"]
    repository_ctx.symlink(_ask(repository_ctx, main, "sysconfig.get_path('include')"), "python")
    repository_ctx.symlink(
        _ask(repository_ctx, main, "__import__('pybind11').get_include()"),
        "pybind11_include",
    )
    repository_ctx.file("BUILD", _BUILD)
    repository_ctx.file("defs.bzl", "PYTHON = %s\nMODELS = %s\n" % (repr(interpreters), repr(models)))

python_environments = repository_rule(
    implementation = _python_environments,
    environ = ["INT8X_ENVIRONMENTS"],
    local = True,
)
