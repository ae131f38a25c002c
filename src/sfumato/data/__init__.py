"""Sources by name, hostile bytes to checked tensors, disjoint splits."""
