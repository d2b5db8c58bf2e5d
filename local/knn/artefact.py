"""The files of a model: what training leaves in its model folder, and serving reads back."""

import dataclasses
import io
import json
import tarfile
from pathlib import Path
from typing import IO

import faiss
import numpy as np

from local.knn.hyperparameters import Hyperparameters
from local.knn.model import Model

PARAMETERS, INDEX, LABELS = "model_algo-1.json", "index.faiss", "labels.npy"


class ArtefactError(Exception):
    """The archive isn't a model of this algorithm."""


def write_model(model: Model, folder: Path) -> None:
    """Write a model's three files into the folder, which becomes ``model.tar.gz``."""
    (folder / PARAMETERS).write_text(json.dumps(dataclasses.asdict(model.hyperparameters)))
    faiss.write_index(model.index, str(folder / INDEX))
    np.save(folder / LABELS, model.labels)


def read_model(archive: IO[bytes]) -> Model:
    """Read a model from the bytes of a ``model.tar.gz``.

    Raises
    ------
        ArtefactError: it is no archive, lacks one of the files, or they don't fit together.
    """
    try:
        with tarfile.open(fileobj=archive, mode="r:gz") as tar:
            parameters = Hyperparameters(**json.loads(member(tar, PARAMETERS).read()))
            index = faiss.deserialize_index(np.frombuffer(member(tar, INDEX).read(), np.uint8))
            labels = np.load(io.BytesIO(member(tar, LABELS).read()), allow_pickle=False)
    except (tarfile.TarError, OSError, EOFError, KeyError, ValueError, TypeError) as error:
        raise ArtefactError(f"not a k-NN model of this embedded SageMaker: {error}") from error
    except RuntimeError as error:
        # faiss raises nothing more precise on an index that it can't read.
        raise ArtefactError(f"the index of the model can't be read: {error}") from error
    if index.ntotal != len(labels):
        raise ArtefactError(f"{index.ntotal} indexed rows but {len(labels)} labels")
    return Model(parameters, index, labels)


def member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    """Open one file of the archive; KeyError without it."""
    for spelled in (name, f"./{name}"):
        try:
            file = tar.extractfile(spelled)
        except KeyError:
            continue
        if file is not None:
            return file
    raise KeyError(f"the archive has no {name}")
