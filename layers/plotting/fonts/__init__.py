"""Fonts for what matplotlib's own, DejaVu Sans, can't write; README.md lists them."""
