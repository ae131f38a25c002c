"""Backbones (any timm, ONNX or own net), their public scaler to [0, 1], and a feature cache."""
