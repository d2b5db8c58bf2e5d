"""Training: sample the train channel, index it, score the model on the test channel."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from local.knn.errors import ClientError
from local.knn.hyperparameters import Hyperparameters, parse_hyperparameters
from local.knn.model import Model, build_model
from local.knn.rows import Matrix, Vector, read_labelled_batches
from local.knn.sample import reservoir_sample
from local.knn.score import ClassificationTally, RegressionTally

Channel = Callable[[], Iterator[tuple[str, BinaryIO]]]
"""Opens a channel's objects one after the other: (name for messages, stream)."""


def train(
    hyperparameters: Mapping[str, str],
    channels: Mapping[str, Channel],
    log: Callable[[str], None],
) -> Model:
    """Train on ``train`` and, where there is one, score on ``test``.

    The steps and their order are the algorithm's own (developer guide, "How the k-NN Algorithm
    Works"): sample, then build the index.

    Raises
    ------
        ClientError: hyperparameters or data can't be used.
    """
    parameters = parse_hyperparameters(hyperparameters)
    unknown = sorted(set(channels) - {"train", "test"})
    if unknown:
        raise ClientError(f"Unknown channel {unknown[0]!r}: k-NN takes 'train' and 'test'")
    if "train" not in channels:
        raise ClientError("The channel 'train' is required")

    batches = checked_width(labelled_batches(channels["train"]), parameters.feature_dim, "train")
    features, labels = reservoir_sample(batches, parameters.sample_size)
    if len(features) == 0:
        raise ClientError("The channel 'train' has no rows")
    log(f"sampled {len(features)} rows of {features.shape[1]} features")
    model = build_model(parameters, features, labels)
    log(f"built a {parameters.index_type} index of {model.index.ntotal} rows")
    if "test" in channels:
        score(model, channels["test"], log)
    return model


def score(model: Model, channel: Channel, log: Callable[[str], None]) -> None:
    """Log the model's scores on a labelled channel, each as SageMaker's log prints it."""
    parameters: Hyperparameters = model.hyperparameters
    classifier = parameters.predictor_type == "classifier"
    tally = ClassificationTally() if classifier else RegressionTally()
    empty = True
    for x, y in checked_width(labelled_batches(channel), model.feature_dim, "test"):
        empty = False
        for start in range(0, len(x), parameters.mini_batch_size):
            part = slice(start, start + parameters.mini_batch_size)
            tally.add(y[part], model.predict(x[part]).predicted)
    if empty:
        raise ClientError("The channel 'test' has no rows")
    for name, value in tally.scores():
        log(f"#test_score (algo-1) : ('{name}', {value!s})")


def labelled_batches(channel: Channel) -> Iterator[tuple[Matrix, Vector]]:
    """The batches of all of a channel's objects."""
    return itertools.chain.from_iterable(
        read_labelled_batches(stream, name) for name, stream in channel()
    )


def checked_width(
    batches: Iterator[tuple[Matrix, Vector]], feature_dim: int | None, channel: str
) -> Iterator[tuple[Matrix, Vector]]:
    """Pass batches on as long as they have ``feature_dim`` features, or as many as the first."""
    for x, y in batches:
        feature_dim = feature_dim or x.shape[1]
        if x.shape[1] != feature_dim:
            raise ClientError(
                f"The channel {channel!r} has rows of {x.shape[1]} features, but feature_dim is "
                f"{feature_dim}"
            )
        yield x, y
