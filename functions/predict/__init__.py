"""Predict: the HTTP API in front of the live models."""
