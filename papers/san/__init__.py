"""Paper `san`: recipes, and readers of the published networks that only its evaluation needs."""
