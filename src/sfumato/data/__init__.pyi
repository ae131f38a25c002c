"""What `sfumato.data` offers, loaded when first used."""

from .decoding.decode import ImageLimits, decode_image, encode_png
from .faces import FacesCut, cut_faces
from .folder import load_folder
from .imageset import MISSING, ImageSet
from .lazy import open_lazily
from .options import SourceOptions
from .sets.characters import CharactersConfig
from .sheet import contact_sheet
from .sources import SOURCES, load
from .splits import shuffled, split_groups, split_images, with_at_least

__all__ = [
    "MISSING",
    "SOURCES",
    "CharactersConfig",
    "FacesCut",
    "ImageLimits",
    "ImageSet",
    "SourceOptions",
    "contact_sheet",
    "cut_faces",
    "decode_image",
    "encode_png",
    "load",
    "load_folder",
    "open_lazily",
    "shuffled",
    "split_groups",
    "split_images",
    "with_at_least",
]
