"""Sweep: what is not as the registry says is put in order."""
