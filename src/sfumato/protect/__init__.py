"""Protectors: what turns an image into a release."""
