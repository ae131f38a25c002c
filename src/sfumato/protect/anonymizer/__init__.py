"""The paper `anonymizer`: a private label is removed from a data set."""
