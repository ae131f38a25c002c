"""Attacks: what an adversary does with releases and their own data."""
