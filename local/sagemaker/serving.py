"""The models that endpoints run: loaded from their artefacts, kept until the endpoint goes."""

import io
import threading

from local.knn.artefact import ArtefactError, read_model
from local.knn.model import Model
from local.sagemaker import platform, store
from local.sagemaker.platform import DataError, Scope

Key = tuple[Scope, str, str]
"""Scope, endpoint, and the S3 URI of the artefact."""

loaded: dict[Key, Model] = {}
lock = threading.Lock()


def load(scope: Scope, endpoint: str, artefact: str) -> Model:
    """The model of an endpoint, read from S3 when it isn't in memory.

    Raises
    ------
        DataError: the artefact can't be read, or is no k-NN model.
    """
    key = (scope, endpoint, artefact)
    model = loaded.get(key)
    if model is not None:
        return model
    # One lock for all: a model is read once, however many requests wait for it.
    with lock:
        if key in loaded:
            return loaded[key]
        bucket, path = platform.split_s3_uri(artefact)
        archive = io.BytesIO(platform.open_object(scope, bucket, path).read())
        try:
            model = read_model(archive)
        except ArtefactError as error:
            raise DataError(f"{artefact}: {error}") from error
        # A request may outlive its endpoint; kept, its model would never be freed.
        if store.endpoints.get(scope, endpoint) is not None:
            loaded[key] = model
        return model


def forget(scope: Scope, endpoint: str, keep: frozenset[str] = frozenset()) -> None:
    """Free an endpoint's models but those of the artefacts to keep."""
    with lock:
        for key in list(loaded):
            if key[:2] == (scope, endpoint) and key[2] not in keep:
                del loaded[key]
