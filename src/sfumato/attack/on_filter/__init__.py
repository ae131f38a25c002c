"""Attacks on the upload filter: a thief, a poisoner, and what an enrollment tells."""
