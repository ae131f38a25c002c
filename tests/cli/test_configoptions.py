"""One option a setting: its name, type, help and default come from the config."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
import typer

from sfumato.cli.configoptions import changes_of, config_from, options_of
from sfumato.cli.main import app
from sfumato.config import Preset, Presets, check_settings, nested, setting, settings_of
from sfumato.errors import ConfigError
from sfumato.protect.anonymizer.config import AnonymizerConfig
from sfumato.protect.obfuscator.config import ObfuscatorConfig
from sfumato.protect.prototypes.config import PrototypesConfig
from sfumato.protect.release.config import MapClassifierConfig
from sfumato.protect.san.config import SanConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    depth: int = setting(3, "How deep.", least=1)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class First(Presets):
    PRESETS: ClassVar[dict[str, Preset]] = {
        "small": Preset("a look", {"steps": 2, "part": Part(depth=1)})
    }
    steps: int = setting(10, "How often.", least=1)
    kinds: tuple[str, ...] = setting(("a",), "Which.", flag="kind", choices=("a", "b"))
    share: float | None = setting(None, "How much.", above=0, most=1)
    mirrored: bool = setting(False, "Whether mirrored.")
    mode: Literal["x", "y"] = setting("x", "In which way.")
    part: Part = nested(Part, "Inside.")
    seed: int = 0

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Second(Presets):
    steps: int = setting(5, "How often.", least=1)
    only: int = setting(1, "Here alone.")


made = typer.Typer()


@made.command()
@options_of(First)
def one(name: str, seed: int = 0, *, config: First) -> None:
    """One config."""
    raise AssertionError((name, seed, config))


@made.command()
@options_of(first=First, second=Second)
def two(*, config: First | Second) -> None:
    """One of two configs."""
    raise AssertionError(config)


@made.command()
@changes_of(First)
def three(name: str, *, changes: dict[str, Any], out: str = "") -> None:
    """What was typed."""
    raise AssertionError((name, out, changes))


COMMANDS: Any = typer.main.get_command(made)


def _one(*words: str) -> Any:
    return config_from(COMMANDS.commands["one"], words)


def _two(*words: str) -> Any:
    return config_from(COMMANDS.commands["two"], words)


def test_nothing_typed_is_the_default() -> None:
    assert _one("x") == First()
    assert _two() == First()
    assert _two("--method", "second") == Second()


def test_what_is_typed_goes_before_a_preset_and_that_before_the_defaults() -> None:
    assert _one("x", "--preset", "small") == First(steps=2, part=Part(depth=1))
    assert _one("x", "--preset", "small", "--steps", "10").steps == 10
    assert _one("x", "--depth", "7", "--mirrored", "--kind", "b", "--kind", "a") == First(
        part=Part(depth=7), mirrored=True, kinds=("b", "a")
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--steps", "0"], "`steps` must be at least 1, got 0"),
        (["--depth", "0"], "`depth` must be at least 1, got 0"),
        (["--share", "1.5"], "`share` must be above 0 and at most 1, got 1.5"),
        (["--share", "nan"], "`share` must be"),
        (["--kind", "c"], "`kinds` takes a, b; got 'c'"),
    ],
)
def test_what_is_out_of_range_is_named(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _one("x", *words)


def test_an_option_of_another_method_is_refused() -> None:
    with pytest.raises(ConfigError, match="`only` belongs to `method` second, got method first"):
        _two("--only", "3")
    with pytest.raises(ConfigError, match="`preset` is one of none here, got 'small'"):
        _two("--method", "second", "--preset", "small")


def test_the_help_says_range_default_and_method() -> None:
    options = {option.name: option for option in COMMANDS.commands["two"].params}
    assert options["steps"].help == "How often. (at least 1; 5 for second)"
    assert options["only"].help == "Here alone. (second only)"
    assert options["steps"].default == 10
    assert options["preset"].help.endswith("small: a look.")


def test_the_command_is_given_the_config() -> None:
    with pytest.raises(AssertionError) as caught:
        COMMANDS(["one", "x", "--seed", "4", "--steps", "3"], standalone_mode=False)
    assert caught.value.args[0] == ("x", 4, First(steps=3))


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ((), {}),
        (("--steps", "10", "--mode", "x"), {"steps": 10, "mode": "x"}),
        (("--kind", "b", "--kind", "a"), {"kinds": ("b", "a")}),
        (("--steps", "0"), {"steps": 0}),
        (("--no-mirrored",), {"mirrored": False}),
    ],
)
def test_only_what_is_typed_is_a_change(words: tuple[str, ...], changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError) as caught:
        COMMANDS(["three", "x", "--out", "y", *words], standalone_mode=False)
    assert caught.value.args[0] == ("x", "y", changes)


def test_an_option_that_may_be_given_several_times_says_so() -> None:
    options = {option.name: option for option in COMMANDS.commands["three"].params}
    assert options["kinds"].help == "Which. (repeated for several; a, b)"
    assert [options[name].default for name in ("steps", "kinds", "mode")] == [None] * 3


def _flat(config: Any) -> Iterator[tuple[str, Any, str]]:
    for field, about in settings_of(type(config)):
        value = getattr(config, field.name)
        if about.part:
            yield from _flat(value)
        else:
            yield field.name, value, about.about


@pytest.mark.parametrize(
    ("command", "config"),
    [
        ("obfuscator", ObfuscatorConfig),
        ("san", SanConfig),
        ("anonymizer", PrototypesConfig),
        ("classifier", MapClassifierConfig),
    ],
)
def test_every_setting_of_a_fit_is_an_option_with_the_same_default(
    command: str, config: type[Presets]
) -> None:
    fit: Any = typer.main.get_command(app)
    options = {option.name: option for option in fit.commands["fit"].commands[command].params}
    for name, default, about in _flat(config()):
        assert options[name].default == (list(default) if isinstance(default, tuple) else default)
        assert options[name].help.startswith(about)


@pytest.mark.parametrize(
    "config", [ObfuscatorConfig, SanConfig, PrototypesConfig, AnonymizerConfig]
)
def test_every_preset_is_one_that_can_be(config: type[Presets]) -> None:
    for name in config.PRESETS:
        assert config.preset(name) != config()
    with pytest.raises(ConfigError, match="`preset` is one of"):
        config.preset("fast")


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("steps", "10", "`steps` must be a whole number, got '10'"),
        ("steps", 2.0, "`steps` must be a whole number, got 2.0"),
        ("steps", True, "`steps` must be a whole number, got True"),
        ("steps", None, "`steps` must be a whole number, got None"),
        ("share", "much", "`share` must be a number, got 'much'"),
        ("share", True, "`share` must be a number, got True"),
        ("mirrored", 1, "`mirrored` must be true or false, got 1"),
        ("mode", None, "`mode` takes x, y; got None"),
        ("mode", ["x"], r"`mode` takes x, y; got \['x'\]"),
        ("kinds", ("a", None), "`kinds` takes a, b; got None"),
    ],
)
def test_a_value_of_another_type_is_refused(field: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        First(**{field: value})


def test_numbers_of_numpy_have_the_range_of_others() -> None:
    assert First(steps=np.int64(2), share=np.float32(0.5)).steps == 2
    with pytest.raises(ConfigError, match="`steps` must be at least 1, got 0"):
        First(steps=np.int64(0))
    with pytest.raises(ConfigError, match="`share` must be above 0 and at most 1, got 2"):
        First(share=np.float32(2))


def test_none_is_taken_where_the_type_says_so() -> None:
    assert First(share=None).share is None
    assert First(share=1).share == 1
