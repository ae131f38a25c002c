"""Recipes and results of the five papers. Not part of the wheel."""
