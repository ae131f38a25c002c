"""What the base installation leaves out, and the extra that brings it."""

from __future__ import annotations

from importlib.util import find_spec

from sfumato.errors import UnavailableError


def needs(extra: str, what: str, *modules: str) -> None:
    """Raise an UnavailableError where a module of an extra is missing. `what` needs it.

    Raises:
        UnavailableError: it names the module and the extra.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise UnavailableError(f"{what} needs {missing[0]}; pip install 'sfumato[{extra}]'")
