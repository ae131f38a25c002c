"""Videos: faces linked from frame to frame, and the film written anew with its sound."""
