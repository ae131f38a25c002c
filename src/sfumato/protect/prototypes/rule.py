"""The rule that every released picture keeps: k pictures, p private values, nobody's alone."""

from __future__ import annotations

from dataclasses import dataclass

from sfumato.config import check_settings, setting
from sfumato.errors import ConfigError, DataError

_VALUES = 5  # private values behind a picture, where the collection has as many
_SHARE = 0.5  # of one private value among the pictures that a prototype stands for
_ROOM = 1.5  # times an equal share: of two people, one may have three quarters
_PANEL = "What each released picture stands for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Anonymity:
    """What each released picture must stand for.

    Raises:
        ConfigError: a number is out of its range.
    """

    k: int = setting(10, "Different originals, at least.", least=2, panel=_PANEL)
    values: int | None = setting(
        None, "Private values, at least; 5, or all if fewer, without it.", least=2, panel=_PANEL
    )
    share: float | None = setting(
        None,
        "Largest share of one private value; a half, or 1.5 times an equal share, without it.",
        above=0,
        most=1,
        panel=_PANEL,
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def settled(self, values: int) -> Anonymity:
        """Return the rule with its defaults for a collection of so many private values.

        Raises:
            DataError: there is one private value only.
            ConfigError: the rule asks for more private values than there are.
        """
        if values < 2:
            raise DataError("expected two private values at least, got one: nothing can hide it")
        wanted = min(_VALUES, values) if self.values is None else self.values
        if wanted > values:
            raise ConfigError(
                f"`values`: expected at most the {values} private values there are, got {wanted}"
            )
        share = max(_SHARE, _ROOM / values) if self.share is None else self.share
        return Anonymity(k=self.k, values=wanted, share=share)
