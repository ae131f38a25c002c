"""What `sfumato.features` offers, loaded when first used."""

from .backbone import Backbone, open_backbone
from .cache import extract
from .preprocess import Preprocess
from .projection import Projection, fit_projection
from .scaler import Scaler, fit_scaler
from .search import Hit, search
from .tables.forms import read_table, write_table
from .tables.table import FeatureTable

__all__ = [
    "Backbone",
    "FeatureTable",
    "Hit",
    "Preprocess",
    "Projection",
    "Scaler",
    "extract",
    "fit_projection",
    "fit_scaler",
    "open_backbone",
    "read_table",
    "search",
    "write_table",
]
