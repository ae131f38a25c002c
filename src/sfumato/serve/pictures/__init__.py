"""Who decodes the pictures that strangers send, and what that process may do."""
