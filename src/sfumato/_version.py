"""The version, apart from the package so that a module can read it without importing upwards."""

__version__ = "0.1.0"
