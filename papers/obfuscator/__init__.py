"""Recipes of the paper `obfuscator`: A Learnable Obfuscator for Image Classification."""
