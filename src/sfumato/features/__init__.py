"""The provider's public extractor, its scaler to [0, 1], and a cache of its outputs."""
