"""From the bytes of a picture to its pixels: limits first, then formats, colour, orientation."""
