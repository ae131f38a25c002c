"""Attacks on encrypted features: what their bits say."""
