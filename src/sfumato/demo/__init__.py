"""The whole system on embedded data, in minutes, with a report of what happened."""
