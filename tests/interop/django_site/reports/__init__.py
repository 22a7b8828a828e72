"""Progress of a long job on every page that shows it."""
