"""Protectors times attacks on the same data, and the report of it."""
