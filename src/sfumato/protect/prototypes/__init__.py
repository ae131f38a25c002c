"""Prototypes: released means of pictures of many people, planned for a collection."""
