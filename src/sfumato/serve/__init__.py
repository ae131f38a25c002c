"""The filter and the features as services, and their clients."""
