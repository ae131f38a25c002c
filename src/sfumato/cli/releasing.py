"""What `sfumato release` writes, or would write, and what it says of it: pictures, or maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from sfumato.cli.dryrun import Plan, read_lazily, tell
from sfumato.counted import counted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sfumato.data.lazy import FolderImages, LoadedImages
    from sfumato.progress import Executor
    from sfumato.protect.obfuscator.model import Obfuscator
    from sfumato.protect.release.foreseen import Foreseen
    from sfumato.types import Protector

Write = Callable[..., tuple[dict[str, Any], str]]
Foresee = Callable[..., "Foreseen"]


@dataclass(frozen=True, slots=True)
class Writer:
    """What writes a release, and what foresees it."""

    write: Write
    foresee: Foresee
    key: Path | None = None
    """Where the secret of its noise lies, or will, if it has one for good."""


def writer(applied: Protector, spec: str, out: Path, key: Path | None) -> Writer:
    """Return what writes a release of this protector.

    Raises:
        ConfigError: the place of the secret does not fit, or there is none to keep.
    """
    from sfumato.errors import ConfigError
    from sfumato.files import at_home
    from sfumato.protect.obfuscator.model import Obfuscator
    from sfumato.protect.release.map_noise import key_beside
    from sfumato.protect.release.maps import plan_maps
    from sfumato.protect.release.pictures import plan_pictures

    if isinstance(applied, Obfuscator) and applied.noise:
        made = at_home(spec).absolute()
        chosen = key_beside(made) if key is None else at_home(key).absolute()
        for handed_on in (made, out.absolute()):
            if chosen.resolve().is_relative_to(handed_on.resolve()):
                raise ConfigError(
                    f"--noise-key {key}: {handed_on} is handed on, and its secret with it; choose "
                    "a place outside of it"
                )
        foresee = partial(plan_maps, applied)
        return Writer(partial(_write_maps, applied, chosen), foresee, chosen)
    if key is not None:
        raise ConfigError(
            f"--noise-key is for an obfuscator with noise, got {applied.name}, which has none that "
            "lasts; leave it out"
        )
    if isinstance(applied, Obfuscator):
        return Writer(partial(_write_maps, applied, None), partial(plan_maps, applied))
    return Writer(partial(_write_pictures, applied), partial(plan_pictures, applied))


def _write_pictures(
    applied: Protector,
    images: FolderImages | LoadedImages,
    out: Path,
    labels: tuple[str, ...],
    batch: int,
    executor: Executor,
) -> tuple[dict[str, Any], str]:
    from sfumato.protect.release.pictures import write_pictures

    written = write_pictures(
        applied, images, out, labels=labels, batch_size=batch, executor=executor
    )
    facts = {"protector": applied.name, "images": written.count, "standing": written.standing}
    text = f"{applied.name}: released {counted(written.count, 'image')} into {out}"
    text += _stands(written.standing)
    return facts | _told(out, written.count, written.left_out, labels), text


def _stands(found: Mapping[str, Any] | None) -> str:
    """Say what each released picture stands for, where it was counted."""
    if found is None:
        return ""
    return (
        f"; each picture, with its labels, stands for {found['fewest_pictures']} or more (asked: "
        f"{found['k']}) of {found['fewest_values']} or more private values (asked: "
        f"{found['values']}), none with more than {found['largest_share']:.0%} (allowed: "
        f"{found['share']:.0%}); the nearest original is {found['nearest_original']:.3f} away "
        "(root mean square)"
    )


def _write_maps(
    applied: Obfuscator,
    key: Path | None,
    images: FolderImages | LoadedImages,
    out: Path,
    labels: tuple[str, ...],
    batch: int,
    executor: Executor,
) -> tuple[dict[str, Any], str]:
    from sfumato.protect.release.map_noise import noise_key
    from sfumato.protect.release.maps import write_maps
    from sfumato.protect.release.noise import fresh_secret

    first = key is not None and not key.exists()
    secret = fresh_secret() if key is None else noise_key(key)
    written = write_maps(
        applied, images, out, secret=secret, labels=labels, batch_size=batch, executor=executor
    )
    facts = {
        "protector": applied.name,
        "maps": written.count,
        "noise_key": None if key is None else str(key),
        "stored_bytes": written.stored_bytes,
        "picture_bytes": written.picture_bytes,
    }
    text = (
        f"{applied.name}: released {counted(written.count, 'map')} into {out}: "
        f"{written.stored_bytes:,} bytes, where their pixels take {written.picture_bytes:,}"
    )
    if first:
        text += (
            f"; the secret of their noise is in {key}: keep it, so that a picture released again "
            "gives the same map, and never hand it on"
        )
    return facts | _told(out, written.count, written.left_out, labels), text


def _told(out: Path, count: int, left_out: int, labels: tuple[str, ...]) -> dict[str, Any]:
    """Say on stderr what was left out, and return it for the JSON line."""
    from sfumato.data.leftout import named, read_list
    from sfumato.protect.release.parts import left_out_list

    listed = left_out_list(out) if left_out else None
    if listed is not None:
        some = named(read_list(listed, 3), left_out)
        typer.echo(
            f"left out {left_out:,} of {counted(count + left_out, 'file')}: {some}\n"
            f"all of them, with the reasons: {listed} (not part of the release)",
            err=True,
        )
    return {
        "left_out": left_out,
        "left_out_list": None if listed is None else str(listed),
        "labels": list(labels),
        "out": str(out),
    }


def tell_release(
    how: Writer,
    name: str,
    images: FolderImages | LoadedImages,
    out: Path,
    labels: tuple[str, ...],
    *,
    as_json: bool,
) -> NoReturn:
    """Say what a release would read, leave out and write."""
    from sfumato.protect.release.parts import left_out_list

    found = how.foresee(images, out, labels)
    reads, facts = read_lazily(images)
    done = f", of which an interrupted run did {found.done:,}" if found.done else ""
    beside = [left_out_list(out)] if found.left_out else []
    if how.key is not None and not how.key.exists():
        beside.append(how.key)
    kept = ", ".join(labels) or "none"
    plan = Plan(
        reads=reads,
        does=f"release {counted(found.count, 'picture')} by {name}{done}; labels kept: {kept}",
        writes=(out, *beside),
        left_out=found.left_out,
        minutes=found.minutes,
        timed="releasing, by the time of a few pictures" if found.minutes is not None else "",
        facts={
            "protector": name,
            **facts,
            "images": found.count,
            "done": found.done,
            "kept": list(labels),
        },
    )
    tell(plan, as_json=as_json)
