"""The faiss index of a model.

Source: developer guide, "How the k-NN Algorithm Works" (a flat index, an inverted index, an
inverted index with product quantization) and "k-NN Hyperparameters".
"""

import math
from typing import Any

import faiss
import numpy as np

from embedded_aws.knn.errors import ClientError, DataError
from embedded_aws.knn.hyperparameters import Hyperparameters
from embedded_aws.knn.rows import Matrix

# So many queries at once are searched as in most builds of faiss: by the norms and products of
# 32-bit floats, which tell rows that are close together far from zero apart badly.
faiss.cvar.distance_compute_blas_threshold = 20

# Each of a vector's parts is coded in a byte (k_nearest_neighbors_covtype.ipynb in
# aws/amazon-sagemaker-examples), and k-means needs a row for each of the 256 codes.
CODE_BITS = 8


def build_index(parameters: Hyperparameters, vectors: Matrix) -> Any:
    """Index ``(m, d) float32`` vectors; with COSINE they have length 1 already.

    A product quantizer takes a d that ``faiss_index_pq_m`` divides: see ``indexed_dim``.

    Raises ClientError: there are too few rows to train the quantizers of an inverted index.
    """
    rows, dim = vectors.shape
    metric = faiss.METRIC_L2 if parameters.index_metric == "L2" else faiss.METRIC_INNER_PRODUCT
    if parameters.index_type == "faiss.Flat":
        index: Any = faiss.IndexFlat(dim, metric)
    else:
        lists = number_of_lists(parameters, rows)
        quantizer = faiss.IndexFlat(dim, metric)
        if parameters.index_type == "faiss.IVFFlat":
            index = faiss.IndexIVFFlat(quantizer, dim, lists, metric)
        else:
            parts = parameters.faiss_index_pq_m or 1
            if rows < 1 << CODE_BITS:
                raise ClientError(
                    f"index_type 'faiss.IVFPQ' needs a sample of at least {1 << CODE_BITS} rows "
                    f"to train its codes, but there are {rows}; use 'faiss.IVFFlat' or "
                    "'faiss.Flat'"
                )
            index = faiss.IndexIVFPQ(quantizer, dim, lists, parts, CODE_BITS, metric)
            index.pq.cp.min_points_per_centroid = 1
        # As faiss's own index_factory has it: centroids that an inner product compares fairly.
        index.cp.spherical = metric == faiss.METRIC_INNER_PRODUCT
        # Below it faiss warns, for each part and list again, and goes on all the same.
        index.cp.min_points_per_centroid = 1
        index.nprobe = min(parameters.nprobe, lists)
        index.train(vectors)
    index.add(vectors)
    return index


def number_of_lists(parameters: Hyperparameters, rows: int) -> int:
    """Lists of an inverted index: as asked for, or the square root of the sample's size.

    "auto" is documented as sqrt(sample_size). Where the data has fewer rows than that, the
    sample that there really is counts: k-means can't find more centroids than rows.

    Raises ClientError: more lists are asked for than there are rows.
    """
    asked = parameters.faiss_index_ivf_nlists
    if asked is None:
        return math.isqrt(rows)
    if asked > rows:
        raise ClientError(
            f"faiss_index_ivf_nlists ({asked}) must not be greater than the number of sampled "
            f"rows ({rows})"
        )
    return asked


def indexed_dim(parameters: Hyperparameters, dim: int) -> int:
    """The dimension in the index: ``dim``, or the next that a product quantizer can divide."""
    if parameters.index_type != "faiss.IVFPQ" or parameters.faiss_index_pq_m is None:
        return dim
    return -(-dim // parameters.faiss_index_pq_m) * parameters.faiss_index_pq_m


TREE_DIM, TREE_PAIRS = 8, 20_000_000
"""In so few dimensions, and for so many pairs of a query and a row, a tree finds the neighbours
of a flat index many times faster than a look at all rows."""

_TREE_SPARE = 8
"""Neighbours looked at beyond k, as rounding to 32 bits may change the order of the last ones."""


def tree_of(vectors: Matrix) -> Any:
    """Index ``(m, d) float32`` vectors for `search_tree`."""
    # Only large files need it.
    from scipy.spatial import cKDTree

    return cKDTree(vectors)


def search_tree(
    tree: Any, vectors: Matrix, queries: Matrix, k: int
) -> tuple[Matrix, np.ndarray[Any, np.dtype[np.intp]]]:
    """Return what `search` does of a flat index of the vectors by L2, to the last digit but one.

    Distances are those of 32-bit norms and products, as faiss computes them for many queries.
    """
    wanted = min(k + _TREE_SPARE, len(vectors))
    _, ids = tree.query(queries, np.arange(1, wanted + 1), workers=-1)
    near = vectors[ids]
    products = np.einsum("qd,qnd->qn", queries, near)
    norms = np.einsum("qd,qd->q", queries, queries)[:, None] + np.einsum("qnd,qnd->qn", near, near)
    distances = np.maximum(norms - 2 * products, 0)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return _checked(
        np.take_along_axis(distances, order, axis=1), np.take_along_axis(ids, order, axis=1)
    )


def search(
    index: Any, queries: Matrix, k: int
) -> tuple[Matrix, np.ndarray[Any, np.dtype[np.intp]]]:
    """The k nearest rows of each of ``(n, d)`` queries, as faiss gives them: ``(n, k)`` each.

    faiss looks through ``nprobe`` lists of an inverted index; where these hold fewer than k
    rows, all lists are looked through, so that there are always k neighbours.

    Raises DataError: a distance is too large for a 32-bit float; faiss finds no neighbours then.
    """
    distances, ids = index.search(queries, k)
    short = np.flatnonzero(ids[:, -1] < 0)
    if len(short) and isinstance(index, faiss.IndexIVF):
        everywhere = faiss.IVFSearchParameters()
        everywhere.nprobe = index.nlist
        distances[short], ids[short] = index.search(queries[short], k, params=everywhere)
    return _checked(distances, ids)


def _checked(
    distances: Matrix, ids: np.ndarray[Any, np.dtype[np.intp]]
) -> tuple[Matrix, np.ndarray[Any, np.dtype[np.intp]]]:
    if not np.isfinite(distances).all() or (ids < 0).any():
        raise DataError(
            "a distance does not fit into a 32-bit float: scale the features of the training "
            "data and of requests to smaller numbers"
        )
    return distances, ids
