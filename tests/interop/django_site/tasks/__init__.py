"""A list of tasks that is the same on every page."""
