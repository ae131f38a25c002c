"""Protectors and attacks of somebody else: of installed packages, or of a module that is at hand.

An installed package names its own in its metadata, in the group of entry points
`sfumato.protectors` or `sfumato.attacks`:

    [project.entry-points."sfumato.protectors"]
    posterize = "their_package:Posterize"

`posterize[:ARGUMENT]` is then a protector's name as `blur:2` is. `MODULE:CLASS[:ARGUMENT]` needs no
package: a module is also looked for in the folder where one works.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from sfumato.errors import ConfigError

PROTECTORS: Final = "sfumato.protectors"
ATTACKS: Final = "sfumato.attacks"


def names(group: str) -> list[str]:
    """Return what installed packages name in a group, once each."""
    return sorted({point.name for point in entry_points(group=group)})


def installed(group: str, kind: type, spec: str) -> Any:  # noqa: ANN401 - a `kind`, or None
    """Return the installed one that `spec` (NAME[:ARGUMENT]) names; None where no package has it.

    Raises:
        ConfigError: two packages name it, it cannot be imported, or it is no `kind`.
    """
    name, _, argument = spec.partition(":")
    points = list(entry_points(group=group, name=name))
    if not points:
        return None
    if len(points) > 1:
        owners = ", ".join(sorted(map(_package, points)))
        raise ConfigError(f"{name!r} is named by several packages: {owners}; uninstall all but one")
    return _made(f"{name!r} of {_package(points[0])}", kind, points[0].load, argument or None)


def names_a_class(spec: str) -> bool:
    """Return whether `spec` is of the form MODULE:CLASS[:ARGUMENT]; `blur:2` is not."""
    module, _, rest = spec.partition(":")
    return bool(module) and rest.partition(":")[0].isidentifier()


def at_hand(kind: type, spec: str) -> Any:  # noqa: ANN401 - a `kind`
    """Return the one that `spec` (MODULE:CLASS[:ARGUMENT]) names.

    Raises:
        ConfigError: it cannot be imported, or is no `kind`.
    """
    module, name, *argument = spec.split(":", 2)

    def load() -> Callable[..., object]:
        if os.getcwd() not in sys.path:
            # Last, so that a file there never stands before a package. It stays: modules import
            # others later on.
            sys.path.append(os.getcwd())
        found: Callable[..., object] = getattr(importlib.import_module(module), name)
        return found

    return _made(f"{module}:{name}", kind, load, *argument)


def _made(
    called: str, kind: type, load: Callable[[], Callable[..., object]], argument: str | None = None
) -> object:
    what = kind.__name__.lower()
    try:
        made = load()
    except Exception as error:  # whatever a stranger's module does when it is imported
        raise ConfigError(
            f"the {what} {called} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    try:
        one = made() if argument is None else made(argument)
    except TypeError as error:
        given = "without an argument" if argument is None else f"with the argument {argument!r}"
        raise ConfigError(f"the {what} {called} cannot be made {given}: {error}") from error
    if not isinstance(one, kind):
        does = "release(images)" if what == "protector" else "run(victim, knowledge)"
        raise ConfigError(
            f"{called} is no {what}: subclass sfumato.{kind.__name__}, with `name` and `{does}`; "
            f"got {type(one).__name__}"
        )
    return one


def _package(point: EntryPoint) -> str:
    return "an unknown package" if point.dist is None else f"{point.dist.name} {point.dist.version}"
