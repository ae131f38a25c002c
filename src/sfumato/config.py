"""Settings of a training as a dataclass: each field has its default, what it means and its range.

A field is made by `setting` or `nested`. `check_settings` keeps the ranges, `Presets` names sets of
values, and the command line makes its options of the same fields. Messages name a field in
backticks, so that a command can write its own spelling of it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any, ClassVar, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from sfumato.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound="Presets")
Number = int | float
_KEY = "setting"
_KINDS: Mapping[Any, tuple[type, str]] = {
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    bool: (bool, "true or false"),
    str: (str, "text"),
}
"""Of fields of plain types: a document may hold any JSON value for one."""
_OPENED = {"least": "at least", "above": "above", "most": "at most", "below": "below"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is known of one field: its meaning, its range, and how a command shows it."""

    about: str
    least: Number | None = None
    above: Number | None = None
    most: Number | None = None
    below: Number | None = None
    panel: str = "Training"
    """Heading under which a command's help lists it."""
    flag: str | None = None
    """Name of its option, where that is not the field's."""
    choices: tuple[str, ...] = ()
    """What each entry of a tuple may be; a `Literal` says it of a single value."""
    part: bool = False
    """Whether the field holds a dataclass of settings of its own."""

    @property
    def range(self) -> str:
        """The range in words; empty where every value is one."""
        ends = ((word, getattr(self, name)) for name, word in _OPENED.items())
        return " and ".join(f"{word} {end:g}" for word, end in ends if end is not None)

    def holds(self, value: Number) -> bool:
        """Say whether a number is in the range; what is not finite never is."""
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.least is None or value >= self.least)
            and (self.above is None or value > self.above)
            and (self.most is None or value <= self.most)
            and (self.below is None or value < self.below)
        )


@dataclass(frozen=True, slots=True)
class Preset:
    """Values under one name, and what they are for."""

    about: str
    values: Mapping[str, Any]


class Presets:
    """A config whose class names sets of values in `PRESETS`."""

    __slots__ = ()
    PRESETS: ClassVar[Mapping[str, Preset]] = {}

    @classmethod
    def preset(cls: type[ConfigT], name: str, **changes: Any) -> ConfigT:  # noqa: ANN401
        """Return the config of that name, with some fields changed.

        Raises:
            ConfigError: there is no such preset.
        """
        if name not in cls.PRESETS:
            raise ConfigError(
                f"`preset` is one of {', '.join(cls.PRESETS) or 'none'} here, got {name!r}"
            )
        return cls(**{**cls.PRESETS[name].values, **changes})


def setting(
    default: Any,  # noqa: ANN401 - any field's value
    about: str,
    *,
    least: Number | None = None,
    above: Number | None = None,
    most: Number | None = None,
    below: Number | None = None,
    panel: str = "Training",
    flag: str | None = None,
    choices: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - as `dataclasses.field`
    """Return a dataclass field with this default, meaning and range."""
    kept = Setting(
        about=about,
        least=least,
        above=above,
        most=most,
        below=below,
        panel=panel,
        flag=flag,
        choices=choices,
    )
    return field(default=default, metadata={_KEY: kept})


def nested(factory: Callable[[], Any], about: str) -> Any:  # noqa: ANN401 - as `field`
    """Return a dataclass field that holds a dataclass of settings."""
    return field(default_factory=factory, metadata={_KEY: Setting(about=about, part=True)})


def settings_of(config: type[Any]) -> Iterator[tuple[Field[Any], Setting]]:
    """Yield the fields of a dataclass that were made by `setting` or `nested`."""
    for one in fields(config):
        if _KEY in one.metadata:
            yield one, one.metadata[_KEY]


def types_of(config: type[Any]) -> Mapping[str, Any]:
    """Return the types of a dataclass's fields."""
    return get_type_hints(config)


def check_settings(config: Any) -> None:  # noqa: ANN401 - any dataclass
    """Check that every field has its type, is in its range, and is one of its choices.

    Raises:
        ConfigError: one does not; the message names it in backticks.
    """
    types = types_of(type(config))
    for one, about in settings_of(type(config)):
        value, annotation = getattr(config, one.name), types[one.name]
        if value is None and plain(annotation) != annotation:
            continue
        _check_type(one.name, value, plain(annotation))
        _check_choice(one.name, value, about.choices or choices_of(annotation))
        is_number = isinstance(value, Real)
        if is_number:
            _check_range(one.name, value if isinstance(value, int) else float(value), about)


def _check_type(name: str, value: object, annotation: Any) -> None:  # noqa: ANN401 - any type
    kind, words = _KINDS.get(annotation, (object, ""))
    if not isinstance(value, kind) or (isinstance(value, bool) and annotation in (int, float)):
        raise ConfigError(f"`{name}` must be {words}, got {value!r}")


def _check_range(name: str, value: Number, about: Setting) -> None:
    if not about.holds(value):
        got = value if isinstance(value, int) else f"{value:g}"  # of any size
        raise ConfigError(f"`{name}` must be {about.range or 'finite'}, got {got}")


def _check_choice(name: str, value: object, choices: tuple[Any, ...]) -> None:
    given = value if isinstance(value, tuple) else (value,)
    wrong = [entry for entry in given if entry not in choices]
    if choices and (wrong or not given):
        raise ConfigError(
            f"`{name}` takes {', '.join(map(str, choices))}; got {wrong[0] if wrong else 'none'!r}"
        )


def choices_of(annotation: Any) -> tuple[Any, ...]:  # noqa: ANN401 - any type
    """Return the values of a `Literal`, also beside None; else nothing."""
    bare = plain(annotation)
    return get_args(bare) if get_origin(bare) is Literal else ()


def plain(annotation: Any) -> Any:  # noqa: ANN401 - any type
    """Return a type without the None beside it."""
    parts = [part for part in get_args(annotation) if part is not type(None)]
    beside_none = get_origin(annotation) is Union or type(annotation).__name__ == "UnionType"
    return parts[0] if beside_none and len(parts) == 1 else annotation


def changed(config: Any, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 - any dataclass
    """Return a config with some fields changed, also those of the dataclasses that it holds.

    Fields are found by name alone: those of a part have names of their own.
    """
    own: dict[str, Any] = {}
    for one, about in settings_of(type(config)):
        if about.part:
            inner = changed(getattr(config, one.name), values)
            own |= {one.name: inner} if inner != getattr(config, one.name) else {}
        elif one.name in values:
            own[one.name] = values[one.name]
    return replace(config, **own) if own else config
