"""What `sfumato.serve` offers, loaded when first used."""

from .clients.features import FeatureClient
from .clients.filter import FilterClient

__all__ = ["FeatureClient", "FilterClient"]
