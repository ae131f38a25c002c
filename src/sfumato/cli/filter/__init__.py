"""`sfumato filter`: the upload filter."""
