"""What `sfumato.features` offers, loaded when first used."""

from .backbone import Backbone, open_backbone
from .cache import extract
from .preprocess import Preprocess
from .projection import Projection, fit_projection
from .scaler import Scaler, fit_scaler

__all__ = [
    "Backbone",
    "Preprocess",
    "Projection",
    "Scaler",
    "extract",
    "fit_projection",
    "fit_scaler",
    "open_backbone",
]
