"""Which parts the demo shows, and running them one after the other."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence

from sfumato.demo.section import Section
from sfumato.errors import ConfigError
from sfumato.progress import progress_bar

SLUGS = ("docl", "shufflebits", "san", "anonymizer", "obfuscator")
"""In the order of the papers."""
PARTS = ("photographs", *SLUGS)
"""All that is shown, in this order; `demo/<part>.py` has `<part>_demo` and `STEPS`."""


def run_sections(
    only: Sequence[str] = (), *, seed: int, done: Callable[[Section], None] = lambda _: None
) -> list[Section]:
    """Run the named parts, or all, under one progress display; `done` gets each as it ends.

    Raises:
        ConfigError: no part has this name.
    """
    unknown = [slug for slug in only if slug not in PARTS]
    if unknown:
        raise ConfigError(f"`only` {unknown[0]} is none of: {', '.join(PARTS)}")
    parts = list(_parts(only or PARTS))
    sections = []
    with progress_bar() as bar:
        task = bar.add_task("demo", total=sum(steps for _, steps in parts), note="")
        for run, _ in parts:
            section = run(seed=seed, advance=lambda note: bar.update(task, advance=1, note=note))
            sections.append(section)
            done(section)
    return sections


def _parts(slugs: Sequence[str]) -> Iterator[tuple[Callable[..., Section], int]]:
    for slug in slugs:
        module = importlib.import_module(f"sfumato.demo.{slug}")
        yield getattr(module, f"{slug}_demo"), module.STEPS
