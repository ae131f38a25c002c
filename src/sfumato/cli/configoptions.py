"""A command's options made of the dataclass that holds its settings.

`@options_of(Config)` gives a command one option a setting, with the field's name, type, help and
default, and hands it the finished config. What is typed goes before what `--preset` says, and that
before the defaults. `@changes_of(Config)` gives it the options without defaults, and hands it what
was typed.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, cast, get_args

import typer

from sfumato.config import (
    Preset,
    Presets,
    Setting,
    changed,
    plain,
    settings_of,
    types_of,
)
from sfumato.errors import ConfigError

_CONFIG, _CONTEXT, _PRESET, _METHOD = "config", "context", "preset", "method"
_CHANGES = "changes"
Command = Callable[..., None]


@dataclass(slots=True)
class _Option:
    """One setting, and what it is in each method that has it."""

    name: str
    kind: Any
    about: Setting
    defaults: dict[str, Any] = field(default_factory=dict)

    def parameter(self, methods: tuple[str, ...]) -> inspect.Parameter:
        """Return the parameter from which typer makes the option."""
        default = next(iter(self.defaults.values()))
        flag = "--" + (self.about.flag or self.name).replace("_", "-")
        flags = f"{flag}/{flag.replace('--', '--no-', 1)}" if self.kind is bool else flag
        shown = typer.Option(
            flags, help=self._help(methods), rich_help_panel=self.about.panel,
            show_default=default is not None,
        )  # fmt: skip
        kind = _typed(self.kind)
        optional = kind | None if default is None else kind
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=list(default) if isinstance(default, tuple) else default,
            annotation=Annotated[optional, shown],
        )

    def _help(self, methods: tuple[str, ...]) -> str:
        first, *others = self.defaults
        notes = [self.about.range] if self.about.range else []
        if _repeated(self.kind):
            notes.append("repeated for several")
        if self.about.choices:
            notes.append(", ".join(self.about.choices))
        if len(self.defaults) < len(methods):
            notes.append(f"{first} only")
        notes += [
            f"{self.defaults[method]} for {method}"
            for method in others
            if self.defaults[method] != self.defaults[first]
        ]
        return f"{self.about.about} ({'; '.join(notes)})" if notes else self.about.about


def options_of(*configs: type[Presets], **methods: type[Presets]) -> Callable[[Command], Command]:
    """Return a decorator that makes a command's options of a config class, or of one a method.

    The command has a parameter `config`, in whose place the options come; it is given the config.
    """
    of: Mapping[str, type[Presets]] = methods or {"": configs[0]}

    def decorated(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> None:  # noqa: ANN401 - what typer has parsed
            context = given.pop(_CONTEXT)
            config = _chosen(of, context, given)
            asked = {*(option.name for option in _options(of)), _PRESET, _METHOD}
            own = {name: value for name, value in given.items() if name not in asked}
            command(config=config, **own)

        parameters = list(_parameters(inspect.signature(command, eval_str=True), of))
        cast("Any", run).__signature__ = inspect.Signature(parameters)
        cast("Any", run).configs = of
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        return run

    return decorated


def changes_of(config: type[Any]) -> Callable[[Command], Command]:
    """Return a decorator that makes a command's options of a class, without any defaults.

    The command has a parameter `changes`, in whose place the options come; it is given what was
    typed, by name.
    """
    kinds = types_of(config)
    options = [
        _Option(one.name, plain(kinds[one.name]), about, {"": None})
        for one, about in settings_of(config)
    ]

    def decorated(command: Command) -> Command:
        @functools.wraps(command)
        def run(**given: Any) -> None:  # noqa: ANN401 - what typer has parsed
            asked = {option.name: given.pop(option.name) for option in options}
            changes = {
                name: _tupled(value) for name, value in asked.items() if value not in (None, [])
            }
            command(changes=changes, **given)

        own = inspect.signature(command, eval_str=True).parameters.values()
        parameters = [
            made
            for one in own
            for made in (
                [option.parameter(("",)) for option in options] if one.name == _CHANGES else [one]
            )
        ]
        named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
        cast("Any", run).__signature__ = inspect.Signature(named)
        run.__annotations__ = {one.name: one.annotation for one in named}
        return run

    return decorated


def _typed(kind: Any) -> Any:  # noqa: ANN401 - any type
    """Return a setting's type as typer takes it: a tuple of any length is a repeated option."""
    return list[get_args(kind)[0]] if _repeated(kind) else kind  # type: ignore[misc]


def _repeated(kind: Any) -> bool:  # noqa: ANN401 - any type
    return get_args(kind)[1:] == (...,)


def _tupled(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def config_from(command: Any, words: Sequence[str]) -> Any:  # noqa: ANN401 - typer's own click
    """Return the config that a command makes of these words, without running it."""
    context = command.make_context(command.name, list(words), resilient_parsing=True)
    return _chosen(command.callback.configs, context, context.params)


def _chosen(of: Mapping[str, type[Presets]], context: Any, given: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Return the config of what was typed."""
    typed = {
        option.name: given[option.name]
        for option in _options(of)
        if _is_typed(context, option.name)
    }
    return _config(of, given.get(_METHOD) or next(iter(of)), given.get(_PRESET), typed)


def _config(
    of: Mapping[str, type[Presets]], method: str, preset: str | None, chosen: Mapping[str, Any]
) -> Any:  # noqa: ANN401 - one of the config classes
    known = {option.name: option for option in _options(of)}
    for name in chosen:
        if method not in known[name].defaults:
            having = " or ".join(known[name].defaults)
            raise ConfigError(f"`{name}` belongs to `method` {having}, got method {method}")
    values = {name: _tupled(value) for name, value in chosen.items()}
    config = of[method]() if preset is None else of[method].preset(preset)
    return changed(config, values)


def _parameters(
    signature: inspect.Signature, of: Mapping[str, type[Presets]]
) -> Iterator[inspect.Parameter]:
    """Yield the command's own parameters, with the options in the place of `config`."""
    yield inspect.Parameter(_CONTEXT, inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    for one in signature.parameters.values():
        if one.name != _CONFIG:
            yield one.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            continue
        if len(of) > 1:
            yield _method(tuple(of))
        presets = {name: p for config in of.values() for name, p in config.PRESETS.items()}
        if presets:
            yield _preset(presets)
        yield from (option.parameter(tuple(of)) for option in _options(of))


def _method(methods: tuple[str, ...]) -> inspect.Parameter:
    return inspect.Parameter(
        _METHOD,
        inspect.Parameter.KEYWORD_ONLY,
        default=methods[0],
        annotation=Annotated[
            Literal[methods], typer.Option(help="How it is done; each has options of its own.")
        ],
    )


def _preset(presets: Mapping[str, Preset]) -> inspect.Parameter:
    names = "; ".join(f"{name}: {preset.about}" for name, preset in presets.items())
    shown = typer.Option(help=f"Settings under one name; options go before them. {names}.")
    return inspect.Parameter(
        _PRESET,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[Literal[tuple(presets)] | None, shown],
    )


def _options(of: Mapping[str, type[Presets]]) -> list[_Option]:
    found: dict[str, _Option] = {}
    for method, config in of.items():
        for name, kind, about, default in _flat(config()):
            found.setdefault(name, _Option(name, kind, about)).defaults[method] = default
    return list(found.values())


def _flat(config: Any) -> Iterator[tuple[str, Any, Setting, Any]]:  # noqa: ANN401
    """Yield name, type, meaning and default of every setting, also those of the parts."""
    for one, about in settings_of(type(config)):
        value = getattr(config, one.name)
        if about.part:
            yield from _flat(value)
        else:
            yield one.name, plain(types_of(type(config))[one.name]), about, value


def _is_typed(context: Any, name: str) -> bool:  # noqa: ANN401 - typer has a click of its own
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"
