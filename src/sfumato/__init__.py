"""Sfumato protects images and deep features, and proves the protection by attacking it."""

__version__ = "0.1.0"
