"""Validate: the held-out rows through a run's endpoint, before it gets any traffic."""
