"""On a person's device: features of private pictures, and the key that signs enrollments."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from jaxtyping import Float, UInt8
from torch import Tensor

from sfumato.counted import counted
from sfumato.data.decoding.decode import ImageLimits, decode_image
from sfumato.data.leftout import LeftOut, named
from sfumato.data.listing import list_files
from sfumato.errors import DataError, ImageError, KeyRingError
from sfumato.features.augmentation import Augmentation
from sfumato.features.backbone import Backbone
from sfumato.features.picture import crop_feature, only_crop
from sfumato.features.views import ViewDraws, stacked_views
from sfumato.filter.neardup import pdq, stack
from sfumato.newfile import write_first
from sfumato.progress import track


@dataclass(frozen=True, slots=True)
class FolderFeatures:
    """Features of a folder's pictures, and the files that gave none."""

    features: Float[Tensor, "n d"]
    views: Float[Tensor, "n v d"] | None
    """Features of random views of each picture, where views were asked for."""
    copies: UInt8[Tensor, "k 32"] | None
    """Hashes of those pictures that have one, where they were asked for."""
    files: tuple[str, ...]
    skipped: tuple[LeftOut, ...]
    """Files, links and subfolders that gave none, each with the reason."""


def read_features(
    folder: Path,
    backbone: Backbone,
    *,
    augmentation: Augmentation | None = None,
    seed: int = 0,
    copies: bool = False,
) -> FolderFeatures:
    """Return the features of every picture in a folder and the folders in it, in order of name.

    Each picture goes through the backbone exactly as the service takes an upload: whole, at its
    own size. With an augmentation, views of it that `seed` draws do so as well. Hidden files are
    passed over; what is no usable picture is named in `skipped`.

    Raises:
        DataError: there is no such folder, it cannot be read, or has under two usable pictures.
    """
    listing = list_files(folder)
    rows, seen, hashes, files = [], [], [], []
    views = ViewDraws(backbone, augmentation, len(listing.files), seed=seed)
    skipped = list(listing.left_out)
    for file in track(listing.files, f"pictures of {folder.name}"):
        try:
            picture = _picture(folder / file)
            crop = only_crop(backbone, picture)
            rows.append(crop_feature(backbone, crop))
            seen.append(views.of(crop))
        except (ImageError, OSError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            skipped.append(LeftOut(file, reason or type(error).__name__))
        else:
            files.append(file)
            hashes.append(pdq(picture) if copies else None)
    if len(rows) < 2:
        total = len(rows) + len(skipped)
        why = f": {named(skipped)}" if skipped else "; it is empty" if not rows else ""
        raise DataError(
            f"{folder}: expected at least 2 usable pictures, got {len(rows)} of "
            f"{counted(total, 'file')}{why}"
        )
    return FolderFeatures(
        torch.cat(rows), stacked_views(seen), stack(hashes), tuple(files), tuple(skipped)
    )


def owner_key(path: Path) -> tuple[Ed25519PrivateKey, bool]:
    """Return the Ed25519 key of a PEM file, and whether it was made just now, with mode 0600.

    Of several processes that find none, all get the key of one.

    Raises:
        KeyRingError: the file holds no such key, or cannot be read or written.
    """
    try:
        if not path.exists():
            key = Ed25519PrivateKey.generate()
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            if write_first(path, pem):
                return key, True
        found = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise KeyRingError(f"cannot keep the key {path}: {error.strerror}") from error
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyRingError(f"{path}: expected an Ed25519 key in PEM without passphrase") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise KeyRingError(f"{path}: expected an Ed25519 key, got a {type(found).__name__}")
    return found, False


def _picture(path: Path) -> UInt8[Tensor, "c h w"]:
    limits = ImageLimits()
    with path.open("rb") as stream:
        return decode_image(stream.read(limits.max_bytes + 1), limits=limits)
