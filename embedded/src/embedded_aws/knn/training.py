"""Training: sample the train channel, index it, score the model on the test channel.

The log lines that SageMaker's own k-NN is known to print are printed as it does (source: the log
in aws/amazon-sagemaker-examples, k_nearest_neighbors_covtype.ipynb, 2021-06-07).
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import BinaryIO

from embedded_aws.knn.content_type import CSV, RECORDIO, ContentType, parse_content_type
from embedded_aws.knn.errors import ClientError, DataError, InfiniteValueError, MissingValueError
from embedded_aws.knn.hyperparameters import Hyperparameters, parse_hyperparameters
from embedded_aws.knn.model import Model, build_model
from embedded_aws.knn.rows import Batch, read_csv_batches
from embedded_aws.knn.sample import reservoir_sample
from embedded_aws.knn.score import ClassificationTally, RegressionTally

PROGRESS_SECONDS = 5.0

Log = Callable[[str], None]


@dataclass(frozen=True)
class Channel:
    """Input data by name.

    Attributes
    ----------
        content_type: as the job gives it; empty means RecordIO-protobuf, as the SageMaker SDK's
            ``KNN`` estimator and k_nearest_neighbors_covtype.ipynb rely on.
        open: opens the channel's objects one after the other: (name for messages, stream).
    """

    content_type: str
    open: Callable[[], Iterator[tuple[str, BinaryIO]]]


def train(hyperparameters: Mapping[str, str], channels: Mapping[str, Channel], log: Log) -> Model:
    """Train on ``train`` and, where there is one, score on ``test``.

    The steps and their order are the algorithm's own (developer guide, "How the k-NN Algorithm
    Works"): sample, reduce the dimension, build the index.

    Raises ClientError: hyperparameters or data can't be used.
    """
    parameters = parse_hyperparameters(hyperparameters)
    log(f"Final configuration: {asdict(parameters)}")
    unknown = sorted(set(channels) - {"train", "test"})
    if unknown:
        raise ClientError(
            f"Additional channels are not allowed ({unknown[0]!r} was unexpected): k-NN takes "
            "'train' and 'test'"
        )
    if "train" not in channels:
        raise ClientError("The channel 'train' is required")

    log(f"Using per-worker sample size = {parameters.sample_size} (number of workers = 1)")
    if parameters.dimension_reduction_target and not parameters.dimension_reduction_type:
        log("dimension_reduction_target has no effect without dimension_reduction_type")
    start = time.monotonic()
    progress = Progress(log, "train", start)
    batches = progress.follow(read(channels["train"], "train", parameters.feature_dim))
    features, labels = reservoir_sample(batches, parameters.sample_size)
    if len(features) == 0:
        raise ClientError("The channel 'train' has no rows")
    throughput = progress.rows / max(time.monotonic() - start, 1e-6)
    log(f"#throughput_metric: host=algo-1, train throughput={throughput} records/second")
    log(
        f"...Got reservoir sample from algo-1: data={features.shape}, labels={labels.shape}, NaNs=0"
    )
    log("Training index...")
    start = time.monotonic()
    model = build_model(parameters, features, labels)
    log(f"...Finished training index in {time.monotonic() - start:.0f} second(s)")
    if "test" in channels:
        score(model, parameters, channels["test"], log)
    return model


def score(model: Model, parameters: Hyperparameters, channel: Channel, log: Log) -> None:
    """Log the model's scores on a labelled channel, each as SageMaker's log prints it."""
    classifier = parameters.predictor_type == "classifier"
    tally = ClassificationTally() if classifier else RegressionTally()
    log("Searching index...")
    start = time.monotonic()
    progress = Progress(log, "test", start)
    for x, y in progress.follow(read(channel, "test", model.feature_dim)):
        for at in range(0, len(x), parameters.mini_batch_size):
            part = slice(at, at + parameters.mini_batch_size)
            try:
                tally.add(y[part], model.predict(x[part]).predicted)
            except DataError as error:
                raise ClientError(f"The channel 'test' can't be scored: {error}") from error
    if progress.rows == 0:
        raise ClientError("The channel 'test' has no rows")
    log(f"...Done searching index in {time.monotonic() - start:.0f} second(s)")
    scores = tally.scores()
    for name, value in scores:
        log(f"#test_score (algo-1) : ('{name}', {value!s})")
    for name, value in scores:
        log(f"#quality_metric: host=algo-1, test {name} <score>={value!s}")


class Progress:
    """Counts rows as they go by, and says every few seconds how many there were."""

    def __init__(self, log: Log, channel: str, start: float) -> None:
        self.log = log
        self.channel = channel
        self.said = start
        self.rows = 0

    def follow(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Pass batches on."""
        for batch in batches:
            yield batch
            self.rows += len(batch[1])
            if time.monotonic() - self.said > PROGRESS_SECONDS:
                self.said = time.monotonic()
                self.log(f"{self.rows} rows of channel '{self.channel}' so far")


def read(channel: Channel, name: str, feature_dim: int | None) -> Iterator[Batch]:
    """The rows of all of a channel's objects, each with ``feature_dim`` or the first's features.

    Raises ClientError: something can't be read, in the words of the built-in algorithms (source:
    aws/sagemaker-xgboost-container, sagemaker_algorithm_toolkit/exceptions.py, "copied from
    Algorithm internal SDK"; aws/sagemaker-python-sdk issue 819), with what and where it is as its
    cause.
    """
    content_type = parse_content_type(channel.content_type or RECORDIO)
    if content_type.media_type not in (CSV, RECORDIO):
        raise ClientError(
            "No iterator has been registered for ContentType "
            f"('{content_type.media_type}', '1.0'): k-NN reads {CSV} and {RECORDIO}"
        )
    try:
        for label, stream in channel.open():
            for x, y in read_object(stream, label, content_type, feature_dim):
                if x.shape[1] != (feature_dim or x.shape[1]):
                    raise ClientError(
                        f"The channel '{name}' has rows of {x.shape[1]} features, but "
                        f"feature_dim is {feature_dim}"
                    )
                feature_dim = x.shape[1]
                yield x, y
    except (DataError, UnicodeError) as error:
        raise ClientError(channel_message(name, content_type, error)) from error


def read_object(
    stream: BinaryIO, label: str, content_type: ContentType, feature_dim: int | None
) -> Iterator[Batch]:
    """The rows of one object."""
    if content_type.media_type == CSV:
        return read_csv_batches(stream, label, content_type.label_size(1), content_type.encoding)
    from embedded_aws.knn.recordio import read_record_batches

    return read_record_batches(stream, label, feature_dim)


def channel_message(name: str, content_type: ContentType, error: Exception) -> str:
    """What the built-in algorithms say of data that they can't read."""
    if isinstance(error, MissingValueError):
        what = (
            "Found missing (NaN) values. Please remove any missing (NaN) values in the input data."
        )
    elif isinstance(error, InfiniteValueError):
        what = (
            "Found infinite floating point values. Please remove any infinite floating point "
            "values in the input data."
        )
    else:
        what = (
            f"Requested content-type is '{content_type.media_type}'. Please verify the data "
            "matches the requested content-type."
        )
    return (
        f"Unable to read data channel '{name}'. {what} (caused by {type(error).__name__})\n\n"
        f"Caused by: {error}"
    )
