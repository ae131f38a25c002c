"""Protectors that are networks: how they are applied, kept in a folder, shared and read back."""

from __future__ import annotations

import hashlib
import importlib
import json
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from huggingface_hub import ModelCard, PyTorchModelHubMixin, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from jaxtyping import Float
from torch import Tensor, nn

from sfumato.device import device_of
from sfumato.errors import ArtifactError, DataError, InputError, UnavailableError
from sfumato.files import (
    MALFORMED,
    at_home,
    read_json,
    read_tensors,
    refuse_foreign,
    replacing_folder,
    write_bytes,
    write_tensors,
)
from sfumato.fingerprint import code_of, fingerprint
from sfumato.types import Fingerprinted, Guarantee, Protector

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
_OURS = (CONFIG, WEIGHTS, CARD)
KINDS: Mapping[str, str] = {
    "anonymizer": "sfumato.protect.anonymizer.model:Anonymizer",
    "prototypes": "sfumato.protect.prototypes.model:PrototypeAnonymizer",
    "obfuscator": "sfumato.protect.obfuscator.model:Obfuscator",
    "san": "sfumato.protect.san.model:SemiAdversarial",
}
"""Where the class of each kind of artifact is; the same words as in `sfumato fit`."""

_FORMAT = 1
_CONFIG_LIMIT = 16 << 20  # the names of half a million classes
_CARD_LIMIT = 1 << 20
_WEIGHTS_LIMIT = 4 << 30


@dataclass(frozen=True, slots=True)
class _Card:
    """A model card, and the digest of the weights that it speaks of."""

    text: str
    weights: str

    @classmethod
    def beside(cls, weights: Path) -> _Card | None:
        """Return the card in the folder of a weights file, if both are there."""
        card = weights.parent / CARD
        if not card.is_file() or not weights.is_file():
            return None
        if card.stat().st_size > _CARD_LIMIT:
            return None
        return cls(card.read_text(encoding="utf-8", errors="replace"), _digest(weights))


class PretrainedProtector(nn.Module, PyTorchModelHubMixin, Protector, Fingerprinted):
    """A network that turns images into a release, and is a folder on disk or on the hub.

    A subclass sets `kind`, takes keyword-only constructor arguments that JSON can hold (they
    become config.json), and gives `name`, `shape`, `private` and `forward`.
    """

    kind: ClassVar[str]
    batch_size: ClassVar[int] = 256
    """Images at once in `release`."""
    _card: _Card | None = None

    @property
    def name(self) -> str:
        """What reports call it, with the settings that tell it from its sisters."""
        return self.kind

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the images that it takes."""

    @property
    def private(self) -> tuple[str, ...]:
        """The labels that it was trained to hide: a release leaves them out."""
        return ()

    @property
    def guarantee(self) -> Guarantee:
        """What holds of every release by construction; nothing unless a subclass says so."""
        return Guarantee()

    @property
    def settings(self) -> dict[str, Any]:
        """The arguments that it was made with, as JSON values."""
        return dict(cast("Any", self)._hub_mixin_config or {})

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over its class's code, its settings and its weights, not over its card."""
        return fingerprint(code_of(self), self.settings, self.state_dict())

    @torch.no_grad()
    def release(self, images: Float[Tensor, "n c h w"]) -> Tensor:
        """Return the release of images in [0, 1], computed in batches on the network's device.

        Raises:
            DataError: the images are not of the shape that the network was made for.
        """
        if tuple(images.shape[1:]) != self.shape:
            raise DataError(
                f"{self.name} takes images of shape {self.shape} (channels, height, width), got "
                f"{tuple(images.shape[1:])}; load them with that size and number of channels"
            )
        training = self.training
        self.eval()
        device = device_of(self)
        parts = [self(batch.to(device)).cpu() for batch in images.split(self.batch_size)]
        self.train(training)
        return torch.cat(parts)

    def save_pretrained(self, save_directory: str | Path, **kwargs: Any) -> str | None:  # noqa: ANN401
        """Write the folder, whole or not at all; arguments as in huggingface_hub.

        An older artifact there is replaced; a folder with anything else in it is left alone. A
        card with an audit's figures goes along, from that folder or from where this protector was
        opened, as long as the weights are those that were audited.

        Raises:
            InputError: the folder holds other files, or cannot be written, or nobody could read it.
        """
        about = {"kind": self.kind, "format": _FORMAT}
        config = {**self.settings, **about}
        folder = Path(save_directory)
        with replacing_folder(folder, ours=_OURS) as part:
            self._save_pretrained(part)
            text = json.dumps(config, indent=2, sort_keys=True)
            write_bytes(part / CONFIG, text.encode() + b"\n")
            _check_readable(part)
            known = [card for card in (_Card.beside(folder / WEIGHTS), self._card) if card]
            weights = _digest(part / WEIGHTS)
            audited = [card.text for card in known if card.weights == weights]
            text = audited[0] if audited else str(self.generate_model_card())
            write_bytes(part / CARD, text.encode())
        if kwargs.pop("push_to_hub", False):
            return self.push_to_hub(kwargs.pop("repo_id", folder.name), **kwargs)
        return None

    def generate_model_card(self, *_: object, **__: object) -> ModelCard:
        """Return the card of an artifact that nobody has audited yet."""
        return ModelCard(
            f"---\nlibrary_name: sfumato\ntags:\n- sfumato\n- {self.kind}\n---\n\n"
            f"# {self.name}\n\nA protector of kind `{self.kind}`, made by Sfumato. It takes images "
            f"of shape {self.shape} (channels, height, width).\n\n{_promised(self.guarantee)}"
            "Not audited yet: `sfumato audit --protector FOLDER` fills this card.\n"
        )

    def _save_pretrained(self, save_directory: Path) -> None:
        tensors = {name: value.detach().cpu().contiguous() for name, value in self._tensors()}
        write_tensors(save_directory / WEIGHTS, tensors, {"kind": self.kind})

    def _tensors(self) -> list[tuple[str, Tensor]]:
        return sorted(self.state_dict().items())

    @classmethod
    def _from_pretrained(
        cls,
        *,
        model_id: str,
        map_location: str = "cpu",
        strict: bool = True,
        **kwargs: Any,  # noqa: ANN401
    ) -> PretrainedProtector:
        """Read config.json and model.safetensors; the mixin's own reader would take pickles."""
        hub = {
            key: kwargs.pop(key, None)
            for key in ("revision", "cache_dir", "force_download", "local_files_only", "token")
        }
        local = Path(model_id)
        path = local / WEIGHTS if local.is_dir() else Path(_downloaded(model_id, WEIGHTS, hub))
        tensors, _ = read_tensors(path, limit_bytes=_WEIGHTS_LIMIT, error=ArtifactError)
        try:
            _check_shapes(cls, kwargs, tensors)
            model = cls(**kwargs)
            model.load_state_dict(tensors, strict=strict)
        except (RuntimeError, *MALFORMED) as error:
            reason = " ".join(str(error).split())[:300]
            raise ArtifactError(f"{model_id} is no {cls.kind}: {reason}") from error
        if not local.is_dir():
            with suppress(UnavailableError):  # many a model on the hub has no card
                _downloaded(model_id, CARD, hub)
        model._card = _Card.beside(path)
        return model.to(map_location).eval()


def _check_readable(folder: Path) -> None:
    for name, limit in ((CONFIG, _CONFIG_LIMIT), (WEIGHTS, _WEIGHTS_LIMIT)):
        size = (folder / name).stat().st_size
        if size > limit:
            raise InputError(
                f"expected a {name} of at most {limit:,} bytes, which is what readers take, got "
                f"{size:,}; train with fewer classes, or smaller pictures"
            )


def _promised(guarantee: Guarantee) -> str:
    """Return what a card says of a guarantee: paragraphs, each with an empty line after it."""
    said = f"**Releases originals on purpose:** {guarantee.originals}.\n\n" * bool(
        guarantee.originals
    )
    rows = [f"| {what} | {figure:g} |" for what, figure in guarantee.figures.items()]
    if not rows:
        return said
    head = ["Holds of every release by construction:\n", "| | |", "| --- | ---: |"]
    return said + "\n".join([*head, *rows]) + "\n\n"


def open_pretrained(source: str | Path) -> PretrainedProtector:
    """Return the protector kept in a folder, or under a name of the hub.

    Raises:
        ArtifactError: it is no artifact, or of a kind or format that this version does not know.
        UnavailableError: it is not a folder, and the hub cannot be reached.
    """
    local = at_home(source)
    path = local / CONFIG if local.is_dir() else Path(_downloaded(str(source), CONFIG, {}))
    config = read_json(path, limit_bytes=_CONFIG_LIMIT, error=ArtifactError)
    kind = str(config.get("kind"))
    if kind not in KINDS or config.get("format") != _FORMAT:
        raise ArtifactError(
            f"{source}: expected a kind of {', '.join(KINDS)} in format {_FORMAT}, got "
            f"{kind!r} in format {config.get('format')!r}; fit it anew, or update sfumato"
        )
    module, _, name = KINDS[kind].partition(":")
    cls = getattr(importlib.import_module(module), name)
    return cast(
        "PretrainedProtector", cls.from_pretrained(str(local if local.is_dir() else source))
    )


def check_place(folder: Path) -> None:
    """Find out before a training whether its result can be written there.

    Raises:
        InputError: a file is there, or a folder with other files than a protector's.
    """
    refuse_foreign(folder, _OURS)


def is_artifact(source: str | Path) -> bool:
    """Say whether a path is a folder with a config.json in it."""
    return (at_home(source) / CONFIG).is_file()


def _check_shapes(
    cls: type[PretrainedProtector], settings: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    """Compare shapes before there is memory: a small file must not make us allocate a giant."""
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of networks without a weight; they do not fit the file
        expected = cls(**settings).state_dict()
    for name, value in expected.items():
        found = tensors[name].shape if name in tensors else None
        if found != value.shape:
            got = "none" if found is None else tuple(found)
            raise ValueError(f"its config wants {name} of {tuple(value.shape)}, got {got}")


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _downloaded(repo: str, file: str, options: Mapping[str, Any]) -> str:
    try:
        return cast("str", hf_hub_download(repo, file, **options))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise UnavailableError(
            f"{repo} is no artifact's folder, and the hub gave no {file} for it: "
            f"{str(error).splitlines()[0]}"
        ) from error
