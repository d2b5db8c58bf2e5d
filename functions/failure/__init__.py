"""Failure: a file that could not be prepared is reported."""
