"""Every source of images by name, in one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sfumato.data.decoding.decode import Box
from sfumato.data.folder import load_folder
from sfumato.data.hub import load_hub
from sfumato.data.imageset import ImageSet
from sfumato.data.options import SourceOptions, Split
from sfumato.data.sets import (
    celeba,
    characters,
    cifar,
    digits,
    ferg,
    lfw,
    market1501,
    mnist,
    pendigits,
    yale,
)
from sfumato.errors import DataError
from sfumato.files import at_home


@dataclass(frozen=True, slots=True)
class Source:
    """One named set: what it is, how it is loaded, which splits of it are there."""

    what: str
    origin: str
    load: Callable[[SourceOptions], ImageSet]
    splits: Callable[[Path | None], tuple[str, ...]]
    """The splits that can be loaded without a network, given the data folder."""
    count: int
    """Images in all splits as published, or as many as are drawn unless told."""


_HUB = "local files, or the hub"
_LOCAL = "local files"

SOURCES = {
    "digits": Source(
        "handwritten digits, 8x8", "embedded", digits.load_digits, digits.digits_splits, 1_797
    ),
    "characters": Source(
        "stylised faces: identity, expression, glasses, hair, skin",
        "embedded",
        characters.load_characters,
        characters.characters_splits,
        2_000,
    ),
    "mnist": Source(
        "handwritten digits, 28x28", _HUB, mnist.load_mnist, mnist.mnist_splits, 70_000
    ),
    "fashion-mnist": Source(
        "pictures of clothes, 28x28",
        _HUB,
        mnist.load_fashion_mnist,
        mnist.fashion_mnist_splits,
        70_000,
    ),
    "cifar10": Source(
        "objects and animals, 32x32", _HUB, cifar.load_cifar10, cifar.cifar10_splits, 60_000
    ),
    "cifar10-4000": Source(
        "its first 4,000 training images, lossless",
        _LOCAL,
        cifar.load_cifar10_4000,
        cifar.cifar10_4000_splits,
        4_000,
    ),
    "cifar100": Source(
        "objects in 100 classes, 32x32", _HUB, cifar.load_cifar100, cifar.cifar100_splits, 60_000
    ),
    "celeba": Source(
        "faces of public people with 40 attributes, 218x178",
        _LOCAL,
        celeba.load_celeba,
        celeba.celeba_splits,
        202_599,
    ),
    "lfw": Source("faces of public people, 160x160", _LOCAL, lfw.load_lfw, lfw.lfw_splits, 13_233),
    "pendigits": Source(
        "pen recordings with their writers, drawn at 20x20",
        _LOCAL,
        pendigits.load_pendigits,
        pendigits.pendigits_splits,
        10_992,
    ),
    "yale": Source(
        "15 people in 11 conditions, 320x243", _LOCAL, yale.load_yale, yale.yale_splits, 164
    ),
    "market1501": Source(
        "pedestrians in 6 cameras, 128x64",
        _LOCAL,
        market1501.load_market1501,
        market1501.market1501_splits,
        29_419,
    ),
    "ferg": Source(
        "stylised characters with expressions, 256x256",
        _LOCAL,
        ferg.load_ferg,
        ferg.ferg_splits,
        55_767,
    ),
}


def load(
    name: str,
    *,
    split: Split = "all",
    data_dir: Path | None = None,
    seed: int = 0,
    size: int | tuple[int, int] | None = None,
    count: int | None = None,
    channels: Literal[1, 3] | None = None,
    box: Box | None = None,
    cache: Path | None = None,
) -> ImageSet:
    """Return the named set; `folder:PATH` is the user's own pictures, `hf:NAME` a set of the hub.

    The path of a folder alone will do, where no set has that name. `characters:N` draws N
    identities. Options: `SourceOptions`.

    Raises:
        DataError: the name, the split or its files are unknown; the message says what is there.
        UnavailableError: the files are not local and the hub cannot be reached.
    """
    options = SourceOptions(
        split=split,
        data_dir=data_dir,
        seed=seed,
        size=size,
        count=count,
        channels=channels,
        box=box,
        cache=cache,
    )
    return load_with(name, options)


def load_with(name: str, options: SourceOptions) -> ImageSet:
    """Return the named set as `load` does, with its options in one object."""
    return _loader(name)(options)


def folder_named(name: str) -> Path | None:
    """Return the user's own folder that a name means: `folder:PATH`, or the path of one.

    A set's name goes before a folder of that name: write `./mnist` or `folder:mnist`.
    """
    kind, _, rest = name.partition(":")
    if kind == "folder" and rest:
        return at_home(rest)
    return at_home(name) if name and name not in SOURCES and at_home(name).is_dir() else None


def _loader(name: str) -> Callable[[SourceOptions], ImageSet]:
    folder = folder_named(name)
    if folder is not None:
        return lambda options: load_folder(folder, options)
    kind, _, rest = name.partition(":")
    if kind == "hf" and rest:
        return lambda options: load_hub(rest, options)
    if kind == "characters" and rest.isdecimal():
        config = characters.CharactersConfig(identities=int(rest))
        return lambda options: characters.load_characters(options, config)
    if name not in SOURCES:
        known = ", ".join((*SOURCES, "characters:N", "folder:PATH", "hf:NAME"))
        raise DataError(f"no data set is called {name!r}, and no folder; there are: {known}")
    return SOURCES[name].load
