"""What `sfumato audit` is put to: a collection and protectors, or released photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

from sfumato.cli.dryrun import Plan, tell
from sfumato.counted import counted

if TYPE_CHECKING:
    from sfumato.audit.attacks import Setting
    from sfumato.audit.faces import FacesOfRelease
    from sfumato.data.imageset import ImageSet
    from sfumato.data.options import SourceOptions
    from sfumato.photo.compare import Pairs
    from sfumato.types import Attack, Protector

_NOTES: Final = "found"  # folder beside the cells, of where faces are


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """Two sides of pictures, and what is tried on whose releases."""

    images: ImageSet
    victims: ImageSet
    adversary: ImageSet
    protectors: Sequence[Protector]
    attacks: Sequence[Attack]
    seen: FacesOfRelease | None = None
    """What was found in photographs."""
    fitted: dict[str, Protector] = field(default_factory=dict)
    """The protectors by what was typed; their folders get a card."""


def collection(
    data: str,
    options: SourceOptions,
    protector: Sequence[str],
    attacks: Sequence[Attack],
    identity: str | None,
) -> Audited:
    """Load a set of single pictures, of the shape that fitted protectors take."""
    from sfumato.audit.measure.disjoint import sides
    from sfumato.audit.protectors import fitted_shape, open_protector
    from sfumato.data.sources import load_with
    from sfumato.errors import ConfigError

    if not protector:
        raise ConfigError(
            "`protector` is missing: give one at least, or released photographs by `faces`"
        )
    shape = fitted_shape(protector)
    if shape is not None:
        if options.size is not None and shape[1:] != (options.size, options.size):
            raise ConfigError(
                f"`size` must be left out or be that of the fitted protectors, "
                f"{shape[1]}x{shape[2]}; got {options.size}"
            )
        options = replace(options, size=shape[1:], channels=1 if shape[0] == 1 else 3)
    images = load_with(data, options)
    victims, adversary = sides(images, identity, seed=options.seed)
    opened = {spec: open_protector(spec, adversary) for spec in protector}
    return Audited(
        images=images, victims=victims, adversary=adversary, protectors=list(opened.values()),
        attacks=attacks, fitted=opened,
    )  # fmt: skip


def photographs(
    pairs: Pairs,
    out: Path,
    private: Sequence[str],
    attacks: Sequence[Attack],
    setting: Setting,
    *,
    seed: int,
) -> Audited:
    """Find the faces of photographs and of their release."""
    from sfumato.audit.faces import face_attacks, face_sides, faces_of

    seen = faces_of(pairs, setting.identity, out / _NOTES)
    victims, adversary = face_sides(seen.images, setting.identity, seed=seed)
    return Audited(
        images=seen.images,
        victims=victims,
        adversary=adversary,
        protectors=[seen.protector],
        attacks=[*face_attacks(private, setting), *attacks],
        seen=seen,
    )


def paired(data: str, released: Path, labels: Sequence[str]) -> Pairs:
    """Match the photographs of two folders, which need these labels."""
    from sfumato.audit.faces import label_names
    from sfumato.data.sources import folder_named
    from sfumato.errors import ConfigError
    from sfumato.photo.compare import pair_files

    folder = folder_named(data)
    if folder is None:
        raise ConfigError(f"`faces` compares folders of photographs, got `data` {data!r}")
    label_names(folder, labels)
    return pair_files(folder, released)


def tell_photographs(pairs: Pairs, out: Path, *, as_json: bool) -> NoReturn:
    """Say which photographs would be compared; a few of them are, to know how long all take."""
    from sfumato.audit.faces import UNCOVERED
    from sfumato.data.folder import read_headers
    from sfumato.features.facenet import FaceNet
    from sfumato.photo.compare import compare_one, finder
    from sfumato.photo.dryrun import minutes_of
    from sfumato.photo.original import LIMITS

    names = dict(pairs.files)
    pixels, refused = read_headers(pairs.source, list(names), LIMITS)
    find, net = finder(), FaceNet()

    def attempt(file: str) -> None:
        list(compare_one(pairs, file, names[file], find, net))

    plan = Plan(
        reads=f"{counted(len(pixels), 'photograph')} in {pairs.source}, and as many in "
        f"{pairs.released}",
        does="find every face, compare it with its place in the release, and attack the faces",
        writes=(out, out / UNCOVERED),
        left_out=(*pairs.left_out, *refused),
        minutes=minutes_of(pixels, attempt),
        timed="finding faces, by the time of a few photographs; attacks are not timed",
        facts={"photos": len(pixels)},
    )
    tell(plan, as_json=as_json)


def said(seen: FacesOfRelease, out: Path) -> str:
    """Say what was counted over all faces."""
    from sfumato.audit.faces import UNCOVERED
    from sfumato.data.leftout import named

    of = seen.counts()
    blind = of["faces"] - of["aligned"]
    lines = [
        f"{counted(of['faces'], 'face')} in {counted(of['photographs'], 'photograph')}: "
        f"{of['still_matched']:,} still taken for the original's (boxes: {out / UNCOVERED}), "
        f"{of['found_again']:,} found again by the finder; {blind:,} cannot be aligned even in the "
        f"original, and are not attacked"
    ]
    if seen.left_out:
        left = counted(len(seen.left_out), "file")
        lines.append(f"left out: {left}: {named(seen.left_out)}")
    return "\n".join(lines)


def facts(seen: FacesOfRelease) -> dict[str, Any]:
    """Return the same for the JSON line."""
    return {"faces": seen.counts() | {"left_out": [list(one) for one in seen.left_out]}}
