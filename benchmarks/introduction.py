"""What the introduction does by hand with pandas and scikit-learn, step by step."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split


def preprocess_and_split(source: str, folder: str) -> None:
    """Read, put the label first, map it to integers, split, write train and test."""
    frame = pd.read_csv(source)
    frame = frame[["Species", *frame.columns[:4]]]
    frame["Species"] = frame["Species"].map({"setosa": 0, "versicolor": 1, "virginica": 2})
    train, test = train_test_split(frame, shuffle=True, random_state=0)
    train.to_csv(Path(folder) / "train.csv", index=False, header=False)
    test.to_csv(Path(folder) / "test.csv", index=False, header=False)
