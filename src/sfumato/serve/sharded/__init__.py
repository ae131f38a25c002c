"""A bank over several machines."""
