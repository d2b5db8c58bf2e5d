"""What the introduction does by hand with pandas and scikit-learn, step by step."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split


def preprocess_and_split(source: str, folder: str) -> None:
    """Read, put the label first, map it to integers, split, write train and test.

    Columns of text are encoded one-hot: the introduction says that they have to be, and how.
    """
    frame = pd.read_csv(source)
    label = frame.columns[-1]
    frame = frame[[label, *frame.columns[:-1]]]
    names = sorted(frame[label].unique())
    frame[label] = frame[label].map({name: number for number, name in enumerate(names)})
    texts = [name for name in frame.columns[1:] if not pd.api.types.is_numeric_dtype(frame[name])]
    if texts:
        frame = pd.get_dummies(frame, columns=texts, dtype=int)
    train, test = train_test_split(frame, shuffle=True, random_state=0)
    train.to_csv(Path(folder) / "train.csv", index=False, header=False)
    test.to_csv(Path(folder) / "test.csv", index=False, header=False)
