"""The models that endpoints run: loaded from their artefacts, kept until the endpoint goes."""

import io
import threading
from collections.abc import Sequence
from pathlib import PurePosixPath

from embedded_aws.aws import platform
from embedded_aws.aws.platform import DataError, Scope
from embedded_aws.aws.table import Document
from embedded_aws.knn.artefact import FILES, ArtefactError, assemble, read_model
from embedded_aws.knn.model import Model
from embedded_aws.sagemaker import store

Key = tuple[str, str, str, str, str]
"""Account, region, endpoint, fleet, and the S3 URI of the artefact.

A new fleet reads the artefact anew, since what is at the URI may have been replaced.
"""

loaded: dict[Key, Model] = {}
lock = threading.Lock()


class UnhealthyContainer(DataError):
    """The artefact was read, but is no k-NN model: the container would not answer a ping."""


def key_of(scope: Scope, endpoint: str, variant: Document) -> Key:
    """What a variant's model is kept under."""
    fleet, uri = variant["FleetId"], variant["ModelData"]["S3Uri"]
    return (scope.account, scope.region, endpoint, fleet, uri)


def load(scope: Scope, endpoint: str, variant: Document) -> Model:
    """The model of a variant, read from S3 as its role when it isn't in memory.

    Raises
    ------
        UnhealthyContainer: the artefact is no k-NN model.
        DataError: the artefact can't be read.
    """
    key = key_of(scope, endpoint, variant)
    model = loaded.get(key)
    if model is not None:
        return model
    # One lock for all: a model is read once, however many requests wait for it.
    with lock:
        if key in loaded:
            return loaded[key]
        try:
            model = read(scope.acting_as(variant["RoleArn"]), variant["ModelData"])
        except ArtefactError as error:
            raise UnhealthyContainer(f"{variant['ModelData']['S3Uri']}: {error}") from error
        # A request may outlive its endpoint; kept, its model would never be freed.
        if store.endpoints.get(scope, endpoint) is not None:
            loaded[key] = model
        return model


def read(scope: Scope, source: Document) -> Model:
    """The model in an artefact, which is an archive or its files below a prefix."""
    bucket, path = platform.split_s3_uri(source["S3Uri"])
    if source["CompressionType"] == "Gzip":
        return read_model(io.BytesIO(platform.open_object(scope, bucket, path).read()))
    return assemble(
        {
            name: platform.open_object(scope, bucket, key).read()
            for key in platform.list_keys(scope, source["S3Uri"])
            if (name := PurePosixPath(key).name) in FILES
        }
    )


def forget(scope: Scope, endpoint: str, keep: Sequence[Document] = ()) -> None:
    """Free an endpoint's models but those of the variants to keep."""
    kept = {key_of(scope, endpoint, variant) for variant in keep}
    with lock:
        for key in list(loaded):
            if key[:3] == (scope.account, scope.region, endpoint) and key not in kept:
                del loaded[key]
