"""Sfumato protects images and deep features, and proves the protection by attacking it.

Each name is loaded when it is first used: `import sfumato` alone imports no PyTorch.

Namespaces, each with a list of its names in `help()`:

- audit: call it to attack protectors and get a report; also holds what goes with a report.
- attack: what an adversary can learn from releases.
- cipher: encrypted features and their keys.
- data: image sets, unprotected.
- features: networks that turn pictures into features.
- filter: the upload filter.
- protect: protectors, their training and their files.
- serve: clients of the services.

Functions and classes:

- fit_anonymizer: trains an autoencoder that hides a private label.
- fit_obfuscator: trains the first layers of a network and the noise behind them.
- fit_prototypes: finds prototype pictures that stand in for the originals.
- fit_san: trains a network that hides attributes of faces and keeps them recognizable.
- open_pretrained: opens a trained protector from its folder or from the hub.
- open_backbone: opens a feature extractor by its name or from its file.
- ShuffleBits: the last module of a network; encrypts every output.
- Protector, Attack: the base classes, for a protector or an attack of your own.
- Releases, Knowledge, Finding: what an attack gets and what it returns.
- SfumatoError: the base class of every error that is raised on purpose.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
