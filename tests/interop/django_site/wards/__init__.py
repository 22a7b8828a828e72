"""Wards with beds, and dashboards that follow them."""
