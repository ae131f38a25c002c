"""The filter and the features as services, and their clients.

- FilterClient: enrolls, uploads and erases at a service of the filter.
- FeatureClient: asks a service of features for the sealed feature of one picture.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
