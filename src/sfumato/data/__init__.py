"""Sources by name, hostile bytes to checked tensors, disjoint splits."""

from sfumato.data.decoding.decode import ImageLimits, decode_image, encode_png
from sfumato.data.imageset import MISSING, ImageSet
from sfumato.data.sources import SOURCES, load
from sfumato.data.splits import shuffled, split_groups, split_images, with_at_least

__all__ = [
    "MISSING",
    "SOURCES",
    "ImageLimits",
    "ImageSet",
    "decode_image",
    "encode_png",
    "load",
    "shuffled",
    "split_groups",
    "split_images",
    "with_at_least",
]
