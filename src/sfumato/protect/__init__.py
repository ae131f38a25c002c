"""Protectors: each turns images into a release, which may leave its owner.

Protections without training:

- Unprotected: releases the images as they are, as the baseline of an audit.
- Noise: adds Gaussian noise.
- Blur: blurs with a Gaussian.
- Pixelate: replaces each block of pixels by its mean colour.
- KSame: replaces each picture by the mean of the k nearest pictures of a public gallery.
- KSameSet: replaces each picture of one set by the mean of k pictures of that set.
- Features: releases a backbone's features in the clear.
- EncryptedFeatures: releases a backbone's features encrypted, under a new key each time.

Protections that are trained:

- Fitted: what every `fit_...` below returns: the protector and how its training went.
- Deformation: how much two views of one picture may differ, for those that train on views.
- fit_anonymizer: trains an `Anonymizer` on labelled images.
- Anonymizer: an autoencoder whose output hides one private label.
- AnonymizerConfig: the settings of `fit_anonymizer`.
- fit_prototypes: finds the prototypes of a `PrototypeAnonymizer`.
- PrototypeAnonymizer: replaces each picture by the most similar of a few prototypes.
- PrototypesConfig: the settings of `fit_prototypes`.
- fit_obfuscator: trains an `Obfuscator` together with the classifier that reads its maps.
- Obfuscator: the first layers of a network, with noise; releases feature maps.
- ObfuscatorConfig: the settings of `fit_obfuscator`.
- fit_san: trains a `SemiAdversarial` network.
- SemiAdversarial: changes faces so that attribute classifiers fail and face matchers work.
- SanConfig: the settings of `fit_san`.
- fit_map_classifier: trains a `MapClassifier` on released maps.
- MapClassifier: classifies the maps that an `Obfuscator` releases.
- MapClassifierConfig: the settings of `fit_map_classifier`.
- PretrainedProtector: the base class of trained protectors: save, open, share.

With torchvision:

- Protect: a protector as a step of `torchvision.transforms.v2`.

Files:

- open_pretrained: opens a trained protector from its folder or from the hub.
- write_pictures: releases a collection into a folder of pictures.
- write_maps: releases a collection into a folder of feature maps.
- noise_key: returns the secret of an obfuscator's noise from its file, or writes a first one.
- open_maps: opens what `write_maps` wrote.
- StoredMaps: released maps with their labels.
- open_map_classifier: opens a saved `MapClassifier`.
- export_obfuscator: writes an `Obfuscator` as an ONNX file.
- export_san: writes a `SemiAdversarial` network as an ONNX file.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
