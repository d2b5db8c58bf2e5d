"""Split: rows to train on, rows held out, and the distance that the model goes by."""
