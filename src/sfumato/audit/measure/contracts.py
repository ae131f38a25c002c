"""Whether what an audit is given are protectors and attacks, looked at before anything is run."""

from __future__ import annotations

from collections.abc import Sequence

from sfumato.errors import ConfigError
from sfumato.types import Attack, Protector


def check_contracts(protectors: Sequence[object], attacks: Sequence[object]) -> None:
    """Find out whether every object has the base class with the defaults that an audit reads.

    Raises:
        ConfigError: one has not; the message says which class to subclass.
    """
    for kind, member, given in ((Protector, "release", protectors), (Attack, "run", attacks)):
        for one in given:
            if not isinstance(one, kind):
                wanted = kind.__name__
                raise ConfigError(
                    f"{type(one).__name__} is no {wanted}: subclass sfumato.{wanted}, with `name` "
                    f"and `{member}`"
                )
