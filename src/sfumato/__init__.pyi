"""What `sfumato` offers, loaded when first used."""

import typing

import sfumato.audit.namespace as _namespace

from . import attack, cipher, data, features, filter, protect, serve
from ._version import __version__
from .cipher.shufflebits import ShuffleBits
from .errors import SfumatoError
from .features.backbone import open_backbone
from .protect.anonymizer.fit import fit_anonymizer
from .protect.obfuscator.fit import fit_obfuscator
from .protect.pretrained import open_pretrained
from .protect.prototypes.fit import fit_prototypes
from .protect.san.fit import fit_san
from .types import Attack, Finding, Knowledge, Protector, Releases

if typing.TYPE_CHECKING:
    audit: _namespace.AuditNamespace
else:
    from . import audit

__all__ = [
    "Attack",
    "Finding",
    "Knowledge",
    "Protector",
    "Releases",
    "SfumatoError",
    "ShuffleBits",
    "__version__",
    "attack",
    "audit",
    "cipher",
    "data",
    "features",
    "filter",
    "fit_anonymizer",
    "fit_obfuscator",
    "fit_prototypes",
    "fit_san",
    "open_backbone",
    "open_pretrained",
    "protect",
    "serve",
]
