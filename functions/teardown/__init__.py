"""Teardown: what runs have deployed goes before the stack does."""
