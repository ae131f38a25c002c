"""Attacks on the upload filter: stolen enrollments, poisoning, and what an enrollment reveals."""
