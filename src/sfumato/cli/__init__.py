"""The command line: one file a command group, and no heavy import before a command runs."""

from sfumato.cli.main import app, main

__all__ = ["app", "main"]
