"""`sfumato release --faces`: whole photographs, whose faces are protected in their place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import typer

from sfumato.cli.dryrun import Plan, tell
from sfumato.cli.options import finish
from sfumato.counted import counted

if TYPE_CHECKING:
    from sfumato.photo.album import PhotosReleased
    from sfumato.photo.choice import Chooser
    from sfumato.photo.config import FaceConfig
    from sfumato.photo.job import Job
    from sfumato.types import Protector


def release_faces(
    spec: str,
    data: str,
    out: Path,
    *,
    config: FaceConfig,
    keep_names: bool,
    boxes: Path | None,
    only: Path | None,
    except_: Path | None,
    backbone: str | None,
    mute: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Release a folder of photographs, or say what would be done."""
    from sfumato.photo.album import release_photos

    chooser = _chooser(only, except_, backbone, boxes)
    job = _job(
        spec, data, out, config, keep_names=keep_names, boxes=boxes, chooser=chooser, mute=mute
    )
    if dry_run:
        _tell(job, as_json=as_json)
    done = release_photos(job)
    finish(_facts(job, done), _text(job, done), as_json=as_json)


def _job(
    spec: str,
    data: str,
    out: Path,
    config: FaceConfig,
    *,
    keep_names: bool,
    boxes: Path | None,
    chooser: Chooser | None,
    mute: bool,
) -> Job:
    from sfumato.data.sources import folder_named
    from sfumato.errors import ConfigError
    from sfumato.photo.job import Job

    folder = folder_named(data)
    if folder is None:
        raise ConfigError(f"--faces takes a folder of photographs, got {data!r}")
    return Job(
        protector=_opened(spec),
        source=folder,
        out=out,
        config=config,
        keep_names=keep_names,
        boxes=boxes,
        chooser=chooser,
        mute=mute,
    )


def _chooser(
    only: Path | None, except_: Path | None, backbone: str | None, boxes: Path | None
) -> Chooser | None:
    from sfumato.errors import ConfigError
    from sfumato.features.backbone import open_backbone
    from sfumato.filter.enrollment import read_enrollment
    from sfumato.photo.who import PersonChooser

    if only is None and except_ is None:
        if backbone is not None:
            raise ConfigError("--backbone belongs to --only or --except; leave it out")
        return None
    if only is not None and except_ is not None:
        raise ConfigError("--only protects one person and --except all others: give one of them")
    if boxes is not None:
        raise ConfigError(
            "--boxes says already who is protected: leave out --only and --except, which choose "
            "among the faces that are found"
        )
    if backbone is None:
        raise ConfigError("--only and --except need the --backbone that the person enrolled with")
    opened = open_backbone(backbone)
    if only is not None:
        return PersonChooser(read_enrollment(only)[1], opened, "only")
    return PersonChooser(read_enrollment(cast("Path", except_))[1], opened, "except")


def _opened(spec: str) -> Protector:
    from sfumato.audit.protectors import open_protector, whole
    from sfumato.errors import ConfigError
    from sfumato.photo.collection import KSameFaces
    from sfumato.protect.obfuscator.model import Obfuscator
    from sfumato.protect.pretrained import is_artifact, open_pretrained
    from sfumato.protect.prototypes.model import PrototypeAnonymizer

    kind, _, rest = spec.partition(":")
    if kind == "ksame":
        return KSameFaces(whole(kind, rest))
    opened = open_pretrained(spec) if is_artifact(spec) else open_protector(spec)
    if isinstance(opened, Obfuscator):
        raise ConfigError(f"{spec}: an obfuscator gives maps, which no photograph can hold")
    if isinstance(opened, PrototypeAnonymizer):
        typer.echo(
            "warning: each face becomes the picture most similar to it; that all people use the "
            "pictures equally often is kept for collections of faces alone, not in photographs",
            err=True,
        )
    return opened


def _tell(job: Job, *, as_json: bool) -> NoReturn:
    """Say what would be read, left out and written."""
    from sfumato.photo.dryrun import planned
    from sfumato.protect.release.parts import left_out_list

    found = planned(job)
    done = f", of which an interrupted run searched {found.done:,}" if found.done else ""
    lists = (left_out_list(job.out),) if found.left_out else ()
    plan = Plan(
        reads=f"{counted(found.photos, 'photograph')} ({found.bytes / 1e6:,.1f} MB) and "
        f"{counted(found.films, 'film')} ({counted(found.frames, 'frame')}) in {job.source}{done}",
        does=f"protect every face by {job.protector.name}",
        writes=(job.out, found.boxes, found.review, *lists),
        left_out=found.left_out,
        minutes=found.minutes,
        timed="finding and writing, by the time of a few photographs or of one frame",
        facts={
            "protector": job.protector.name,
            "photos": found.photos,
            "bytes": found.bytes,
            "films": found.films,
            "frames": found.frames,
            "done": found.done,
        },
    )
    tell(plan, as_json=as_json)


def _facts(job: Job, done: PhotosReleased) -> dict[str, Any]:
    return {
        "protector": job.protector.name,
        "photos": done.photos,
        "protected": done.protected,
        "left_clear": done.left_clear,
        "without_faces": done.without,
        "films": done.films,
        "tracks": done.tracks,
        "tracks_left_clear": done.tracks_left_clear,
        "left_out": done.left_out,
        "boxes": str(done.boxes),
        "review": str(done.review),
        "out": str(done.folder),
    }


def _text(job: Job, done: PhotosReleased) -> str:
    names = "names and folders kept" if job.keep_names else "numbered in a random order"
    missed = f"; {counted(done.left_out, 'file')} left out" if done.left_out else ""
    protected, clear = [], []
    if done.photos:
        faces, photos = counted(done.protected, "face"), counted(done.photos, "photograph")
        protected.append(f"{faces} protected in {photos}")
        clear += [
            f"without a protected face: {counted(done.without, 'photograph')}",
            f"left clear in photographs: {counted(done.left_clear, 'box', 'boxes')}",
        ]
    if done.films:
        films = counted(done.films, "film")
        protected.append(f"{counted(done.tracks, 'face')} protected in {films}")
        clear.append(f"left clear in films: {counted(done.tracks_left_clear, 'face')}")
    return (
        f"{job.protector.name}: {' and '.join(protected)}, in {done.folder} ({names}){missed}\n"
        f"{'; '.join(clear)}; go through {done.review}, correct {done.boxes}, and "
        "release again with --boxes; both show originals or names, and stay with you"
    )
