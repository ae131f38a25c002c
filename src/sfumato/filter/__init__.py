"""The upload filter (paper `docl`): enrollments made on a device, and the guard over them."""
