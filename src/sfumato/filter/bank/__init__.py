"""A bank of enrollments: in memory, on disk, and scored."""
