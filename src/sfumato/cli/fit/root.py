"""`sfumato fit`: train a protector on images; each kind has its own file and help."""

from __future__ import annotations

import typer

from sfumato.cli.fit.anonymizer import anonymizer
from sfumato.cli.fit.classifier import classifier
from sfumato.cli.fit.obfuscator import obfuscator
from sfumato.cli.fit.san import san

app = typer.Typer(
    no_args_is_help=True,
    help="Train a protector on your images; `release` then applies it, `audit` attacks it.",
)


@app.callback()
def fit() -> None:
    """Train a protector on your images; `release` then applies it, `audit` attacks it."""


app.command()(anonymizer)
app.command()(obfuscator)
app.command()(san)
app.command()(classifier)
