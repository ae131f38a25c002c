"""The database: its tables, URL, locks, clock, and erasure."""
