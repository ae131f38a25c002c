"""Paper `san`: recipes, and the published networks that only its evaluation needs."""
