"""Releases on disk: pictures, maps, and what draws their order and noise."""
