"""Where faces are: one network at several sizes and rotations."""
