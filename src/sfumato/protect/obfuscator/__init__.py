"""The paper `obfuscator`: a picture is kept as a feature map only."""
