"""The command line. Each module of this package that has a function `command` is one command, named
like the module.

Exit status: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted. Errors go to stderr; their
last line says it all.
"""

import importlib
import os
import pkgutil
import sys
import tempfile
import warnings
from pathlib import Path

import typer

from int8x.errors import Int8xError


def build_app() -> typer.Typer:
    """The application with every command found in this package."""
    app = typer.Typer(
        name="int8x",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback(
        invoke_without_command=True,
        help="Full int8 .tflite models, and the delegate that runs them.",
    )
    def root(
        context: typer.Context,
        version: bool = typer.Option(False, "--version", help="Print the version and stop."),
    ) -> None:
        if version:
            import int8x

            typer.echo(int8x.__version__)
        elif context.invoked_subcommand is None:
            typer.echo(context.get_help(), err=True)
            raise typer.Exit(2)

    for found in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        module = importlib.import_module(f"{__name__}.{found.name}")
        if hasattr(module, "command"):
            app.command(found.name, help=module.command.__doc__)(module.command)
    return app


def main(arguments: list[str] | None = None) -> int:
    """Runs one command line (sys.argv without one) and returns its exit status."""
    warnings.formatwarning = lambda message, *_: f"warning: {message}\n"
    try:
        status = typer.main.get_command(build_app()).main(
            args=arguments, prog_name="int8x", standalone_mode=False
        )
    except Int8xError as error:
        return _failed(str(error))
    except (KeyboardInterrupt, typer.Abort):
        return _failed("interrupted", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _failed(
            f"{error.filename}: {error.strerror}"
            if error.filename and error.strerror
            else str(error)
        )
    except Exception as error:  # typer's own: wrong usage
        if not hasattr(error, "format_message"):
            raise
        context = getattr(error, "ctx", None)
        if context is not None:
            print(context.get_usage(), file=sys.stderr)
        return _failed(error.format_message(), getattr(error, "exit_code", 2))
    if status == 130:  # what typer makes of Ctrl-C
        return _failed("interrupted", status)
    return status if isinstance(status, int) else 0


def writable(path: Path) -> Path:
    """Raises OSError, before any long work, when a file cannot be written at `path`."""
    if path.is_dir():
        raise IsADirectoryError(21, "a file is wanted, this is a folder", str(path))
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(2, "cannot be written: its folder does not exist", str(path))
    try:
        with tempfile.TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise OSError(error.errno, f"cannot be written: {error.strerror}", str(path)) from None
    return path


def _failed(message: str, status: int = 1) -> int:
    print(f"error: {message}", file=sys.stderr)
    return status
