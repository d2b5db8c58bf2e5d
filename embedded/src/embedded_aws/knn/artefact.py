"""The files of a model: what training leaves in its model folder, and serving reads back.

As the built-in algorithm's: ``model_algo-1``, the serialized index; ``model_algo-1.labels``, the
labels as 32-bit floats; ``model_algo-1.json``, the metadata, of which ``k`` and
``predictor_type`` may be edited. Source: developer guide, "How the k-NN Algorithm Works".
"""

import gzip
import json
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, cast

import faiss
import numpy as np

from embedded_aws.knn.hyperparameters import CHOICES
from embedded_aws.knn.model import Model
from embedded_aws.knn.reduction import Reduction

INDEX = "model_algo-1"
LABELS = "model_algo-1.labels"
METADATA = "model_algo-1.json"
FILES = (INDEX, LABELS, METADATA)
METADATA_BYTES = 1 << 16
# What faiss writes at the start of IndexFlat (L2, inner product), IndexIVFFlat, IndexIVFPQ.
# Others it could read too, but no model has them.
KINDS = (b"IxF2", b"IxFI", b"IwFl", b"IwPQ")
MOST_SIGNS = 1 << 30
# faiss's own precomputed_table_max_bytes: above, it does without the table.
TABLE_BYTES = 1 << 31


class ArtefactError(Exception):
    """The files aren't a model of this algorithm."""


def write_model(model: Model, folder: Path) -> None:
    """Write a model's three files into the folder, which becomes ``model.tar.gz``."""
    metadata = {
        "k": model.k,
        "predictor_type": model.predictor_type,
        "dimension_reduction": model.reduction and asdict(model.reduction),
        "normalize": model.normalize,
        "feature_dim": model.feature_dim,
        "version": "1.0",
    }
    (folder / METADATA).write_text(json.dumps(metadata))
    faiss.write_index(model.index, str(folder / INDEX))
    model.labels.astype("<f4").tofile(folder / LABELS)


def read_model(archive: IO[bytes]) -> Model:
    """Read a model from the bytes of a ``model.tar.gz``.

    Nothing in it is executed or unpacked to disk.

    Raises ArtefactError: it is no archive, lacks one of the files, or they don't fit together.
    """
    files: dict[str, bytes] = {}
    try:
        # Forward only: going back in a compressed archive means to unpack it again.
        with gzip.GzipFile(fileobj=archive) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as tar:
                for member in tar:
                    name = member.name.removeprefix("./")
                    if name in FILES and member.isfile():
                        files[name] = cast(IO[bytes], tar.extractfile(member)).read()
            # To its end, where the checksum is.
            while unpacked.read(1 << 20):
                pass
    except (tarfile.TarError, zlib.error, OSError, EOFError, ValueError) as error:
        raise ArtefactError(f"not a k-NN model.tar.gz: {error}") from error
    return assemble(files)


def read_folder(folder: Path) -> Model:
    """Read a model from the folder that its archive was unpacked into.

    Raises ArtefactError: it lacks one of the files, or they don't fit together.
    """
    return assemble(
        {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}
    )


def assemble(files: Mapping[str, bytes]) -> Model:
    """Put a model together from its files' contents, and check that they fit."""
    missing = [name for name in FILES if name not in files]
    if missing:
        raise ArtefactError(f"not a k-NN model: there is no {', '.join(missing)}")
    index = read_index(files[INDEX])
    labels = np.frombuffer(files[LABELS][: len(files[LABELS]) & ~3], "<f4").astype(np.float32)
    if index.ntotal != len(labels) or len(files[LABELS]) % 4:
        raise ArtefactError(f"{index.ntotal} indexed rows but {len(files[LABELS])} bytes of labels")
    metadata = read_metadata(files[METADATA])
    reduction = read_reduction(metadata.get("dimension_reduction"))
    if reduction is not None and reduction.target_dim > index.d:
        raise ArtefactError(f"reduced to {reduction.target_dim} dimensions, but {index.d} indexed")
    feature_dim = reduction.input_dim if reduction else metadata.get("feature_dim", index.d)
    if type(feature_dim) is not int or not 0 < feature_dim <= (
        feature_dim if reduction else index.d
    ):
        raise ArtefactError(f"{METADATA}: feature_dim is {feature_dim!r}, but {index.d} indexed")
    k, predictor_type = metadata.get("k"), metadata.get("predictor_type")
    if type(k) is not int or not 1 <= k <= index.ntotal:
        raise ArtefactError(f"{METADATA}: k is {k!r}, but there are {index.ntotal} rows")
    if predictor_type not in CHOICES["predictor_type"]:
        raise ArtefactError(f"{METADATA}: predictor_type is {predictor_type!r}")
    return Model(
        k=k,
        predictor_type=predictor_type,
        feature_dim=feature_dim,
        reduction=reduction,
        normalize=metadata.get("normalize") is True,
        index=index,
        labels=labels,
    )


def read_metadata(text: bytes) -> dict[str, Any]:
    """Parse the metadata."""
    try:
        metadata = json.loads(text[:METADATA_BYTES])
    except (ValueError, RecursionError) as error:
        raise ArtefactError(f"{METADATA} is not valid JSON: {error}") from error
    if not isinstance(metadata, dict):
        raise ArtefactError(f"{METADATA} is no JSON object")
    return metadata


def read_reduction(given: Any) -> Reduction | None:
    """Check a reduction's numbers; None where there is none."""
    if given is None:
        return None
    names = ("seed", "input_dim", "target_dim")
    if (
        not isinstance(given, dict)
        or given.get("type") not in CHOICES["dimension_reduction_type"]
        or any(type(given.get(name)) is not int for name in names)
        or not 0 <= given["seed"] < 1 << 32
        or min(given["input_dim"], given["target_dim"]) < 1
        or given["input_dim"] * given["target_dim"] > MOST_SIGNS
    ):
        raise ArtefactError(f"{METADATA}: the dimension_reduction {str(given)[:200]} is not known")
    return Reduction(given["type"], *(given[name] for name in names))


def read_index(content: bytes) -> Any:
    """Let faiss read an index, with bounds to what it believes of it."""
    if content[:4] not in KINDS:
        raise ArtefactError(f"{INDEX} is no faiss index of a k-NN model")
    try:
        # No vector in it can be larger than the file, and no loop longer.
        index = deserialize(content, len(content))
    except RuntimeError as error:
        # But for a table that faiss computes last of all, from what it has read by then.
        if "precomputed_table" not in str(error):
            raise ArtefactError(f"{INDEX} can't be read: {error}") from error
        index = deserialize(content, TABLE_BYTES)
    if index.ntotal < 1 or index.d < 1 or not index.is_trained:
        raise ArtefactError(f"{INDEX} is empty")
    if index.metric_type not in (faiss.METRIC_L2, faiss.METRIC_INNER_PRODUCT):
        raise ArtefactError(f"{INDEX} has a metric that k-NN does not")
    if isinstance(index, faiss.IndexIVF):
        check_lists(index)
    return index


def deserialize(content: bytes, vector_bytes: int) -> Any:
    """Read an index whose vectors have no more bytes than these; RuntimeError otherwise."""
    faiss.set_deserialization_vector_byte_limit(vector_bytes)
    faiss.set_deserialization_loop_limit(len(content))
    return faiss.deserialize_index(np.frombuffer(content, np.uint8))


def check_lists(index: Any) -> None:
    """The lists of an inverted file hold each row, and nothing else."""
    quantizer = faiss.downcast_index(index.quantizer)
    lists = index.invlists
    if (
        not isinstance(quantizer, faiss.IndexFlat)
        or (quantizer.d, quantizer.ntotal) != (index.d, index.nlist)
        or lists.nlist != index.nlist
        or not 1 <= index.nprobe < 1 << 31
    ):
        raise ArtefactError(f"{INDEX}: the quantizer does not fit")
    sizes = [lists.list_size(number) for number in range(index.nlist)]
    if sum(sizes) != index.ntotal:
        raise ArtefactError(f"{INDEX}: {sum(sizes)} rows in the lists instead of {index.ntotal}")
    for number, size in enumerate(sizes):
        if size:
            ids = faiss.rev_swig_ptr(lists.get_ids(number), size)
            if ids.min() < 0 or ids.max() >= index.ntotal:
                raise ArtefactError(f"{INDEX}: list {number} holds a row that there is not")
