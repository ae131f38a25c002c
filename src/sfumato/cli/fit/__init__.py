"""`sfumato fit`: train a protector."""
