"""Features on disk, with their names and labels: in the forms that other tools read and write."""
