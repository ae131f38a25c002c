"""Paper `shufflebits`: On the Importance of Encrypting Deep Features (Ni and others, 2021)."""
