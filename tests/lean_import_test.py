"""import int8x is light, and its public names mean the same at any time."""

import subprocess
import sys

import int8x

FRAMEWORKS = ("tensorflow", "tf_keras", "keras", "jax", "torch")


def run(code: str) -> str:
    """What `code` prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_int8x_imports_no_framework():
    shown = run("import int8x, sys; print(*sys.modules, sep='\\n')")
    loaded = {name.split(".")[0] for name in shown.split()}
    assert not loaded & {*FRAMEWORKS, "ai_edge_litert", "flatbuffers", "rich", "typer", "scipy"}


def test_quantizing_a_model_imports_no_framework():
    code = """
import sys
import numpy as np
import float_nets, int8x
graph = float_nets.small_network()
int8x.quantize(graph, data=np.zeros((2, 8, 8, 3), np.float32))
print(*sys.modules, sep='\\n')
"""
    loaded = {name.split(".")[0] for name in run(code).split()}
    assert "ai_edge_litert" in loaded
    assert not loaded & set(FRAMEWORKS)


def test_public_names_are_callable_before_and_after_every_module_is_imported():
    run("""
import importlib, pathlib, int8x
heavy = ("PruningCallback", "QATCallback", "TransferLearningCallback", "__version__")
before = {name: getattr(int8x, name) for name in int8x.__all__ if name not in heavy}
for path in sorted(pathlib.Path(int8x.__file__).parent.glob("*.py")):
    if path.stem not in ("__init__", "__main__"):
        importlib.import_module(f"int8x.{path.stem}")
for name, found in before.items():
    assert callable(found) and getattr(int8x, name) is found, name
""")


def test_no_module_has_the_name_of_a_public_function():
    import pathlib

    modules = {path.stem for path in pathlib.Path(int8x.__file__).parent.iterdir()}
    assert not modules & set(int8x.__all__) - {"__version__"}


def test_dir_lists_what_the_package_offers():
    assert {"quantize", "calibrate", "Graph", "QuantParams", "__version__"} <= set(dir(int8x))


def test_an_unknown_name_is_an_attribute_error():
    try:
        int8x.quantise  # noqa: B018
    except AttributeError as error:
        assert "quantise" in str(error)
    else:
        raise AssertionError("no AttributeError")
