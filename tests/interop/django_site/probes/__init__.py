"""Consumers that show what arrives, for tests alone."""
