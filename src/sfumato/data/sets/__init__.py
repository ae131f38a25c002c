"""Data sets by name: where their files are and how they are read."""
