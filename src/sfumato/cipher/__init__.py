"""Encrypted features (paper `shufflebits`): the module, the envelope and the keys."""
