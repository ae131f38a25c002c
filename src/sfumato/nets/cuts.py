"""Where VGG16 is cut in two: entries of its plan before the cut, poolings counted too."""

PAPER_CUT = 6
"""Two pairs of convolutions, each with its pooling."""
DEEP_CUT = 14
"""After the fourth pooling: each place of the 2x2 map of a 32x32 picture has seen it all, so that
a map need not say more than the class."""
