"""What waits: how much of it may, and threads that take together what waits together."""
