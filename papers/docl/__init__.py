"""Recipes of the paper `docl`: Distributed One-Class Learning."""
