"""A run: one file dropped, one name, one folder."""

from __future__ import annotations

import hashlib
import re
import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import UTC, datetime

DATASET = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
RUN = re.compile(rf"(?P<dataset>{DATASET.pattern})-\d{{8}}T\d{{6}}Z-[0-9a-f]{{8}}")
SUFFIXES = (".csv", ".csv.gz")
SCORE = "score/"
"""What keys of the inbox begin with that hold rows to score: ``score/<dataset>/<name>.csv``."""

_KEY = re.compile(rf"runs/(?P<run>{RUN.pattern})/")
_INTERMEDIATE = re.compile(rf"runs/{RUN.pattern}/(?:clean/data[-.]|train/|large/)")


@dataclass(frozen=True)
class Source:
    """The object that was dropped, as S3's "Object Created" event names it.

    `version` is the version id, or the ETag in a bucket without versions. `sequencer` orders the
    events of one key. `time` is when S3 saw the object, in UTC.
    """

    bucket: str
    key: str
    version: str
    sequencer: str
    time: datetime

    @property
    def dropped(self) -> str:
        """A string that sorts as the files were dropped: by time, then by sequencer.

        Sequencers tell the order within one key only; the shorter is padded with zeros on the
        right, then they compare as text. Source: Amazon S3 user guide, "Event message structure".
        """
        sequencer = self.sequencer.lower().ljust(32, "0")
        return f"{self.time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}#{sequencer}"


def dataset_of(key: str) -> str:
    """Return the dataset that a key of the inbox names, as written: it may be no valid name.

    The first part of the key, or the file's stem at the root: ``iris/2026-11.csv`` and
    ``iris.csv`` are both ``iris``.
    """
    first, slash, _ = key.partition("/")
    return first if slash else stem(first)


def dataset_to_score(key: str) -> str:
    """Return the dataset whose model scores a file below `SCORE`, as written; empty if none is."""
    dataset, slash, _ = key.removeprefix(SCORE).partition("/")
    return dataset if slash else ""


def stem(name: str) -> str:
    """Return the name of a file without its ending."""
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def is_dataset(name: str) -> bool:
    """Whether `name` can name a dataset: 1 to 32 of ``a-z``, ``0-9`` and inner hyphens.

    The folder ``score`` of the inbox is taken.
    """
    return DATASET.fullmatch(name) is not None and f"{name}/" != SCORE


def slug(name: str) -> str:
    """Return the valid dataset name nearest to `name`, so that even a misnamed file has a run."""
    cleaned = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32].strip("-")
    return "scores" if f"{cleaned}/" == SCORE else cleaned or "unnamed"


def run_id(source: Source) -> str:
    """Return ``<dataset>-<time of the event>-<8 hex of what was dropped>``.

    The same event always gives the same id, so a duplicate meets the names that the first made.
    At most 58 characters, so it also names the training job, model, endpoint and execution.
    """
    what = "\n".join((source.bucket, source.key, source.version, source.sequencer))
    digest = hashlib.sha256(what.encode()).hexdigest()[:8]
    return _id(dataset_of(source.key), source.time, digest)


def batch_id(source: Source) -> str:
    """Return the id of a batch, a file of rows to score: of the form of a run's.

    A file that is named after a batch of its dataset is this batch: the API names it before it is
    uploaded. The id of another one comes from the event, as a run's does.
    """
    dataset, name = dataset_to_score(source.key), stem(source.key.rpartition("/")[2])
    if is_run_of(dataset, name):
        return name
    what = "\n".join((source.bucket, source.key, source.version, source.sequencer))
    return _id(dataset, source.time, hashlib.sha256(what.encode()).hexdigest()[:8])


def new_batch_id(dataset: str) -> str:
    """Return an id for a batch that is to be uploaded as ``score/<dataset>/<id>.csv``."""
    return _id(dataset, datetime.now(UTC), secrets.token_hex(4))


def _id(dataset: str, time: datetime, digest: str) -> str:
    return f"{slug(dataset)}-{time.astimezone(UTC):%Y%m%dT%H%M%SZ}-{digest}"


def dataset_of_run(run: str) -> str:
    """Return the dataset in a run id; raise a `ValueError` if it is none."""
    match = RUN.fullmatch(run)
    if match is None:
        raise ValueError(f"not a run id: {run!r}")
    return match["dataset"]


def is_run_of(dataset: str, run: str) -> bool:
    """Whether this is the id of a run of a dataset, or of a batch."""
    match = RUN.fullmatch(run)
    return match is not None and match["dataset"] == dataset


def run_of_key(key: str) -> str:
    """Return the run whose folder a key is in; raise a `ValueError` if it is in none."""
    match = _KEY.match(key)
    if match is None:
        raise ValueError(f"not in the folder of a run: {key!r}")
    return match["run"]


def is_intermediate(key: str) -> bool:
    """Whether nothing needs a file any more once its run has ended, not even to deploy it again."""
    return _INTERMEDIATE.match(key) is not None


class _Folder(ABC):
    """The keys of a folder in the runs bucket."""

    @property
    @abstractmethod
    def prefix(self) -> str:
        """The folder itself, without a slash at its end."""

    def __truediv__(self, name: str) -> str:
        """Return the key of a file in the folder: ``RunFolder(run) / CLEAN_DATA``."""
        return f"{self.prefix}/{name}"


@dataclass(frozen=True)
class RunFolder(_Folder):
    """The keys of a run's folder in the runs bucket."""

    run: str

    @property
    def prefix(self) -> str:
        """The folder itself, without a slash at its end."""
        return f"runs/{self.run}"

    def part(self, name: str, part: int) -> str:
        """Return the key of a part of a file: ``part("clean/data.csv", 3)``, ``…-00003.csv``."""
        stem, dot, ending = name.rpartition(".")
        return f"{self.prefix}/{stem}-{part:05}{dot}{ending}"


@dataclass(frozen=True)
class BatchFolder(_Folder):
    """The keys of a batch's folder in the runs bucket."""

    batch: str

    @property
    def prefix(self) -> str:
        """The folder itself, without a slash at its end."""
        return f"batches/{dataset_of_run(self.batch)}/{self.batch}"

    def part(self, folder: str, run: str, number: int) -> str:
        """Return the key of a part of what a run's model sees of the rows, or answers."""
        return f"{self.prefix}/{folder}/{run}/part-{number:05}.csv"


@dataclass(frozen=True)
class AsyncFolder(_Folder):
    """The keys of what a run's asynchronous endpoint is asked and answers, in the runs bucket.

    Clients' rows are in it, which are not kept for as long as the run is. Lifecycle rules of S3
    select objects by what their keys begin with, so it is no part of the run's own folder.
    """

    run: str

    @property
    def prefix(self) -> str:
        """The folder itself, without a slash at its end."""
        return f"async/{self.run}"


BATCH_ROWS = "rows.csv"
BATCH_REJECTS = "rejects.csv"
BATCH_INPUT = "input"
BATCH_OUTPUT = "output"
RESULT = "result.csv"
CLEAN_DATA = "clean/data.csv"
SAMPLE = "clean/sample.json"
SETTINGS = "clean/settings.json"
PARTS = "clean/parts.json"
LARGE = "large"
SCHEMA = "clean/schema.json"
PROFILE = "clean/profile.json"
REJECTS = "clean/rejects.csv"
MANIFEST = "clean/manifest.json"
TRAIN = "train/train.pbr"
TEST = "test/test.pbr"
FINGERPRINTS = "fingerprints/train.u64"
HELD_OUT_FINGERPRINTS = "fingerprints/held_out.u64"
"""A 64-bit hash of the features of each row, little-endian, in the order of the rows."""
TRAIN_PART = "train/part.pbr"
TEST_PART = "test/part.pbr"
SPLIT = "split.json"
TRANSFORM = "transform.json"
CHOICE = "choice.json"
HELD_OUT = "validation/held_out.csv"
TRAINING_SAMPLE = "validation/training_sample.json"
PREDICTIONS = "validation/predictions.csv"
METRICS = "validation/metrics.json"
WRONG = "validation/wrong.json"
REPORT = "report/report.html"
REPORT_FACTS = "report/report.json"
STATUS = "status.json"
