"""The filter as a signal type of `threatexchange`, by which platforms plug signals into HMA.

A signal is one of two texts, both without spaces: an enrollment, which is stored and exchanged, or
the features of an upload, which are asked about. An index is a bank. The provider's backbone is the
file that `SFUMATO_BACKBONE` names.

Matches are claims of one enrollment each, in the unit of the bank: with a policy log10 of the share
of strangers' uploads that the whole bank blocks so, else sigmas above the mean error. Nobody's own
enrollment overrides here, and newcomers are not screened: that is the service's.
"""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from threatexchange.content_type.content_base import ContentType
from threatexchange.content_type.photo import PhotoContent
from threatexchange.exchanges.fetch_state import FetchedSignalMetadata
from threatexchange.extensions.manifest import ThreatExchangeExtensionManifest
from threatexchange.signal_type import signal_base
from threatexchange.signal_type.index import (
    IndexMatch,
    IndexMatchUntyped,
    SignalSimilarityInfo,
    SignalSimilarityInfoWithSingleDistance,
    SignalTypeIndex,
)
from torch import Tensor

from sfumato.data.decoding.decode import decode_views
from sfumato.errors import ConfigError, FormatError, InputError
from sfumato.features.backbone import Backbone
from sfumato.features.picture import all_features_of
from sfumato.filter.bank.bank import Bank
from sfumato.filter.enrollment import Enrollment, open_enrollment
from sfumato.filter.rule.calibration import Rarity, anchors
from sfumato.filter.rule.guard import ALPHA, Sigmas, Unit

VARIABLE: Final = "SFUMATO_BACKBONE"
_ENROLLMENT, _FEATURES = "enrollment:", "features:"
_VERSION: Final = 1


def enrollment_signal(content: bytes) -> str:
    """Return the signal of an enrollment file, which is checked.

    Raises:
        EnrollmentError: it is malformed or forged.
    """
    open_enrollment(content)
    return _ENROLLMENT + base64.b64encode(content).decode()


class ClassSignal(signal_base.SignalType, signal_base.BytesHasher):
    """Photos that resemble what somebody enrolled."""

    @classmethod
    def get_name(cls) -> str:
        """The name in files and on the command line."""
        return "sfumato_class"

    @classmethod
    def get_content_types(cls) -> list[type[ContentType]]:
        """Photos alone."""
        return [PhotoContent]

    @classmethod
    def get_index_cls(cls) -> type[ClassIndex]:
        """The index."""
        return ClassIndex

    @classmethod
    def validate_signal_str(cls, signal_str: str) -> str:
        """Return an enrollment or features without spaces around, checked.

        Raises:
            InputError, EnrollmentError: it is neither.
        """
        text = signal_str.strip()
        if text.startswith(_ENROLLMENT):
            _enrollment(text)
        else:
            _features(text)
        return text

    @classmethod
    def hash_from_bytes(cls, bytes_: bytes) -> str:
        """Return the features of a picture; '' of one that shows no face where faces are taken.

        Raises:
            ConfigError: no backbone is named.
            ImageError: the bytes are no picture.
        """
        own = _backbone()
        rows = [all_features_of(own, view.picture) for view in decode_views(bytes_)]
        found = torch.cat(rows)
        if not len(found):
            return ""
        values = base64.b64encode(found.numpy().astype("<f4").tobytes()).decode()
        return f"{_FEATURES}{own.fingerprint}:{own.dim}:{values}"

    @classmethod
    def compare_hash(cls, hash1: str, hash2: str) -> signal_base.SignalComparisonResult:
        """Compare an enrollment with features, in either order."""
        first, second = sorted((hash1.strip(), hash2.strip()))  # e before f
        index = ClassIndex.build([(first, None)])
        (score,) = index.scores(second)
        return signal_base.SignalComparisonResult.from_simple_dist(score, index.threshold)

    @staticmethod
    def get_examples() -> list[str]:
        """None: an enrollment is somebody's, and of one backbone."""
        return []


class ClassIndex(SignalTypeIndex[Any]):
    """A bank of enrollments, each with something that belongs to it."""

    def __init__(self) -> None:
        self._signals: list[str] = []
        self._entries: list[Any] = []
        self._bank: Bank | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, signal_str: str, entry: Any) -> None:  # noqa: ANN401 - the caller's own
        """Add an enrollment; one that is there already is there twice.

        Raises:
            EnrollmentError: it is malformed, forged or of another backbone.
        """
        text = signal_str.strip()
        made = _enrollment(text)
        if self._bank is None:
            self._bank = Bank.empty(made.dim, made.hidden, backbone=made.backbone)
        self._bank.add(str(len(self)), made)
        self._signals.append(text)
        self._entries.append(entry)

    def query(self, query: str) -> Sequence[IndexMatch[Any]]:
        """Return whose class claims an upload of these features, the surest first.

        Raises:
            InputError: they are no features, or another backbone's.
        """
        if not query.strip() or self._bank is None:
            return []
        scores = self.scores(query)
        found = [(score, i) for i, score in enumerate(scores) if score <= self.threshold]
        return [_match(score, self._entries[i]) for score, i in sorted(found)]

    def scores(self, features: str) -> list[float]:
        """Return how near an upload of these features is to each enrollment, in their unit."""
        fingerprint, x = _features(features.strip())
        if self._bank is None:
            return []
        if fingerprint != self._bank.backbone:
            raise InputError("expected features of the enrollments' backbone, got another one's")
        errors = self._bank.errors(x)
        found: list[float] = self._unit(self._bank)(errors).min(0).values.tolist()
        return found

    @property
    def threshold(self) -> float:
        """The largest score of a match."""
        policy = _backbone().policy
        return ALPHA if policy is None else math.log10(policy.false_blocks)

    def serialize(self, fout: Any) -> None:  # noqa: ANN401 - whatever writes bytes
        """Write the index as JSON, and no pickle.

        Raises:
            InputError: what belongs to an enrollment is neither JSON nor what the command line of
                `threatexchange` keeps of a file's signals.
        """
        entries = [_to_json(entry) for entry in self._entries]
        document = {"version": _VERSION, "signals": self._signals, "entries": entries}
        fout.write(json.dumps(document, separators=(",", ":")).encode())

    @classmethod
    def deserialize(cls, fin: Any) -> ClassIndex:  # noqa: ANN401 - whatever reads bytes
        """Read what `serialize` wrote; every enrollment is checked.

        Raises:
            FormatError: it is something else.
        """
        try:
            document = json.loads(fin.read())
            if document["version"] != _VERSION:
                raise FormatError(f"expected version {_VERSION} of an index")
            pairs = list(zip(document["signals"], document["entries"], strict=True))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise FormatError(f"expected an index of enrollments: {error!r}") from error
        made = cls()
        made.add_all((str(signal), _from_json(entry)) for signal, entry in pairs)
        return made

    @classmethod
    def build(cls, entries: Iterable[tuple[str, Any]]) -> ClassIndex:
        """Return an index of some enrollments, each with what belongs to it."""
        made = cls()
        made.add_all(entries)
        return made

    def _unit(self, bank: Bank) -> Unit:
        policy = _backbone().policy
        if policy is None:
            return Sigmas(bank.mu, bank.sigma)
        return Rarity(anchors(bank.errors(policy.cohort)), policy.dimension, len(bank))


def _match(score: float, entry: Any) -> IndexMatch[Any]:  # noqa: ANN401 - the caller's own
    distance: SignalSimilarityInfo = SignalSimilarityInfoWithSingleDistance(score)
    return IndexMatchUntyped(distance, entry)


def _enrollment(text: str) -> Enrollment:
    if not text.startswith(_ENROLLMENT):
        raise InputError(f"expected a signal {_ENROLLMENT}..., got {text[:20]!r}")
    return open_enrollment(_decoded(text.removeprefix(_ENROLLMENT))).enrollment


def _features(text: str) -> tuple[str, Float[Tensor, "n d"]]:
    parts = text.removeprefix(_FEATURES).split(":")
    if not text.startswith(_FEATURES) or len(parts) != 3 or not parts[1].isdecimal():
        raise InputError(f"expected a signal {_FEATURES}..., got {text[:20]!r}")
    content, dim = _decoded(parts[2]), int(parts[1][:9])
    if not content or not dim or len(content) % (4 * dim):
        raise InputError("expected whole rows of features")
    values = np.frombuffer(content, "<f4").reshape(-1, dim).astype(np.float32)
    if not ((values >= 0) & (values <= 1)).all():
        raise InputError("expected features in [0, 1]")
    return parts[0], torch.from_numpy(values)


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise InputError("expected base64 in a signal") from error


def _to_json(entry: Any) -> Any:  # noqa: ANN401 - the caller's own
    if isinstance(entry, list) and entry and all(map(_is_fetched, entry)):
        return {"fetched": [name for name, _ in entry]}
    try:
        return {"json": json.loads(json.dumps(entry, allow_nan=False))}
    except (TypeError, ValueError) as error:
        raise InputError("expected JSON beside an enrollment, to write it to disk") from error


def _is_fetched(pair: Any) -> bool:  # noqa: ANN401 - the caller's own
    """Return whether it is what the command line keeps of a file: its name, and nothing more."""
    return isinstance(pair, tuple) and len(pair) == 2 and type(pair[1]) is FetchedSignalMetadata


def _from_json(value: Any) -> Any:  # noqa: ANN401 - the caller's own
    if not isinstance(value, dict):
        raise FormatError("expected an entry of an index")
    if "fetched" in value:
        return [(str(name), FetchedSignalMetadata()) for name in value["fetched"]]
    return value.get("json")


def _backbone() -> Backbone:
    name = os.environ.get(VARIABLE)
    if not name:
        raise ConfigError(f"expected the provider's backbone file in the variable {VARIABLE}")
    return _loaded(name, Path(name).stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _loaded(name: str, _changed: int) -> Backbone:
    return Backbone.load(Path(name))


TX_MANIFEST = ThreatExchangeExtensionManifest(signal_types=(ClassSignal,))
"""What `threatexchange config extensions add sfumato.filter.exchange` adds."""
