"""Preprocess: an uploaded file is checked, and its columns get their roles."""
