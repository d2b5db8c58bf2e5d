"""Score: rows without a label come back with what the live model predicts."""
