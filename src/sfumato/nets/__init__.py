"""Architectures only: no training, no files."""
