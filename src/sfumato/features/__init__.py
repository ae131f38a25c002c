"""Backbones: networks that turn pictures into features in [0, 1].

Extraction:

- open_backbone: opens a backbone by its name (faces, timm, ONNX, gradients) or from its file.
- Backbone: preprocessing, network, projection and scaler in one module; a feature a face.
- Preprocess: how a picture of any size becomes the network's input.
- extract: computes the features of an image set, and keeps them on disk.

Fitted on public images:

- fit_projection: fits a `Projection` by principal component analysis.
- Projection: keeps the directions in which features vary most.
- fit_scaler: fits a `Scaler`.
- Scaler: maps each feature to [0, 1].

On disk, with names and labels:

- FeatureTable: features, and what is known of each row.
- read_table: reads NumPy, Parquet, Arrow, safetensors or a folder of `datasets`.
- write_table: writes the form that the suffix names.
- search: finds the nearest rows of other features (faiss).
- Hit: a row found, and how alike it is.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
