"""The root command, and how every command ends: a result, or one line that says what to do."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Final, NoReturn

import typer

from sfumato._version import __version__
from sfumato.cli import audit, data, features, report
from sfumato.cli.classify import classify
from sfumato.cli.demo import demo
from sfumato.cli.export import export
from sfumato.cli.filter import root as filter_
from sfumato.cli.fit import root as fit
from sfumato.cli.paper import paper
from sfumato.cli.release import release
from sfumato.cli.spelling import running, spelled
from sfumato.errors import InputError, SfumatoError, UnavailableError
from sfumato.printable import printable

app = typer.Typer(
    name="sfumato",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Protect images and deep features before they leave their owner, and prove it by attack.",
)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Options of the root command."""
    if version:
        typer.echo(__version__)
        raise typer.Exit


app.add_typer(filter_.app, name="filter")
app.command()(demo)
app.command()(paper)
app.add_typer(fit.app, name="fit")
app.command()(release)
app.command()(classify)
app.command()(export)
app.add_typer(data.app, name="data")
app.command("audit")(audit.audit)
app.add_typer(report.app, name="report")
app.add_typer(features.app, name="features")


_MEMORY: Final = (
    "this takes more memory than there is; take fewer pictures (`count`), smaller ones (`size`), "
    "or smaller batches"
)
_TORCHVISION: Final = (
    "expected a torchvision that was built for this torch, got another one; install torch and "
    "torchvision again, both at once and from one place"
)


def main() -> None:
    """Run the command line; known errors become one line on stderr and their exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may be no text in any language
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SfumatoError as error:
        _end(str(error), error.exit_code)
    except OSError as error:
        if error.filename is None:  # no file's fault: ours
            raise
        _end(f"cannot use {error.filename}: {error.strerror}", InputError.exit_code)
    except (MemoryError, RuntimeError) as error:
        if is_out_of_memory(error):
            _end(_MEMORY, SfumatoError.exit_code)
        if "operator torchvision::" in str(error):
            _end(_TORCHVISION, UnavailableError.exit_code)
        raise


def is_out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out; of the processor's, PyTorch says so in words alone."""
    text = str(error)
    return isinstance(error, MemoryError) or any(
        said in text for said in ("out of memory", "allocate memory", "not enough memory")
    )


def _end(message: str, code: int) -> NoReturn:
    command = running(typer.main.get_command(app), sys.argv[1:])
    typer.echo(f"error: {printable(spelled(message, command))}", err=True)
    sys.exit(code)
