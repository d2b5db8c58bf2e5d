"""Endpoints, their configurations, and their runtime."""
