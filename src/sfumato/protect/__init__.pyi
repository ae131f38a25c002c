"""What `sfumato.protect` offers, loaded when first used."""

from .anonymizer.config import AnonymizerConfig
from .anonymizer.fit import fit_anonymizer
from .anonymizer.model import Anonymizer
from .baselines import Blur, KSame, Noise, Pixelate, Unprotected
from .deformation import Deformation
from .encrypted import EncryptedFeatures, Features
from .fitted import Fitted
from .obfuscator.config import ObfuscatorConfig
from .obfuscator.fit import fit_obfuscator
from .obfuscator.model import Obfuscator
from .obfuscator.onnx import export_obfuscator
from .pretrained import PretrainedProtector, open_pretrained
from .prototypes.config import PrototypesConfig
from .prototypes.fit import fit_prototypes
from .prototypes.model import PrototypeAnonymizer
from .release.classifier import (
    MapClassifier,
    fit_map_classifier,
    open_map_classifier,
)
from .release.config import MapClassifierConfig
from .release.ksame_set import KSameSet
from .release.map_noise import noise_key
from .release.maps import StoredMaps, open_maps, write_maps
from .release.pictures import write_pictures
from .san.config import SanConfig
from .san.fit import fit_san
from .san.model import SemiAdversarial
from .san.onnx import export_san
from .transforms import Protect

__all__ = [
    "Anonymizer",
    "AnonymizerConfig",
    "Blur",
    "Deformation",
    "EncryptedFeatures",
    "Features",
    "Fitted",
    "KSame",
    "KSameSet",
    "MapClassifier",
    "MapClassifierConfig",
    "Noise",
    "Obfuscator",
    "ObfuscatorConfig",
    "Pixelate",
    "PretrainedProtector",
    "Protect",
    "PrototypeAnonymizer",
    "PrototypesConfig",
    "SanConfig",
    "SemiAdversarial",
    "StoredMaps",
    "Unprotected",
    "export_obfuscator",
    "export_san",
    "fit_anonymizer",
    "fit_map_classifier",
    "fit_obfuscator",
    "fit_prototypes",
    "fit_san",
    "noise_key",
    "open_map_classifier",
    "open_maps",
    "open_pretrained",
    "write_maps",
    "write_pictures",
]
