"""The bank that the service holds: in memory, batched, followed, limited."""
