"""Image sets: named sources, safe decoding, disjoint splits. Unprotected pictures live here.

Loading:

- load: returns an image set by its name; `folder:PATH` reads a folder of pictures.
- open_lazily: returns an image set whose pictures are decoded when they are needed.
- load_folder: returns the pictures of a folder with their labels.
- SOURCES: the named sources.
- SourceOptions: size, count, split and colour of what is loaded.
- CharactersConfig: the settings of the drawn faces `characters:N`.
- ImageSet: images of one size with named labels.
- MISSING: the label value that means unknown.

Splitting:

- split_images: splits a set at random by picture.
- split_groups: splits a set so that no person is in two parts.
- shuffled: returns a set in random order.
- with_at_least: keeps the people (or other values) with enough pictures.

Pictures:

- decode_image: decodes a picture file from an untrusted source.
- ImageLimits: how large a picture file may be.
- encode_png: encodes a picture as PNG.
- contact_sheet: draws pictures in rows, as PNG.
- cut_faces: finds the faces in pictures and writes them as squares.
- FacesCut: what `cut_faces` wrote and what it left out.
"""

from __future__ import annotations

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
