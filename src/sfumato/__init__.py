"""Sfumato protects images and deep features, and proves the protection by attacking it.

The names below come from their modules when they are first used: `import sfumato` alone is quick
and imports no PyTorch. Unprotected pictures (`sfumato.data`) and keys (`sfumato.cipher`) have to
be asked for by their own modules.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sfumato import audit
    from sfumato.cipher.shufflebits import ShuffleBits
    from sfumato.errors import SfumatoError
    from sfumato.features.backbone import open_backbone
    from sfumato.protect.pretrained import open_pretrained
    from sfumato.types import Attack, Finding, Knowledge, Protector, Releases

_PLACES = {
    "Attack": "sfumato.types",
    "Finding": "sfumato.types",
    "Knowledge": "sfumato.types",
    "Protector": "sfumato.types",
    "Releases": "sfumato.types",
    "SfumatoError": "sfumato.errors",
    "ShuffleBits": "sfumato.cipher.shufflebits",
    "open_backbone": "sfumato.features.backbone",
    "open_pretrained": "sfumato.protect.pretrained",
}

__all__ = [
    "Attack",
    "Finding",
    "Knowledge",
    "Protector",
    "Releases",
    "SfumatoError",
    "ShuffleBits",
    "__version__",
    "audit",
    "open_backbone",
    "open_pretrained",
]


def __getattr__(name: str) -> object:
    if name == "audit":
        return importlib.import_module("sfumato.audit")
    if name not in _PLACES:
        raise AttributeError(f"module 'sfumato' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
