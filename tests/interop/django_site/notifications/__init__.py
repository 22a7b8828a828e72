"""Notifications to everybody, by a consumer that blocks."""
