"""Hyperparameters of k-NN: strings in, a checked value object out.

Source: SageMaker developer guide, "k-NN Hyperparameters".
"""

from collections.abc import Mapping
from dataclasses import dataclass

from local.knn.errors import ClientError

PREDICTOR_TYPES = ("classifier", "regressor")
INDEX_TYPES = ("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ")
INDEX_METRICS = ("L2", "INNER_PRODUCT", "COSINE")
REDUCTION_TYPES = ("sign", "fjlt")
PQ_M = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96)
NAMES = (
    "feature_dim",
    "k",
    "predictor_type",
    "sample_size",
    "dimension_reduction_type",
    "dimension_reduction_target",
    "faiss_index_ivf_nlists",
    "faiss_index_pq_m",
    "index_metric",
    "index_type",
    "mini_batch_size",
)


@dataclass(frozen=True)
class Hyperparameters:
    """Checked hyperparameters; ``feature_dim`` is None when it is to be taken from the data."""

    k: int
    predictor_type: str
    sample_size: int
    feature_dim: int | None = None
    index_type: str = "faiss.Flat"
    index_metric: str = "L2"
    mini_batch_size: int = 5000


def parse_hyperparameters(given: Mapping[str, str]) -> Hyperparameters:
    """Check the strings of a training job and fill in the defaults.

    Names that begin with an underscore are SageMaker's own (``_tuning_objective_metric``) and
    are passed over.

    Raises
    ------
        ClientError: a name is unknown or missing, a value is out of its range, values exclude
            each other, or this implementation doesn't have the index or reduction asked for.
    """
    given = {name: value for name, value in given.items() if not name.startswith("_")}
    unknown = sorted(set(given) - set(NAMES))
    if unknown:
        raise ClientError(
            f"Additional hyperparameters are not allowed ({', '.join(map(repr, unknown))} "
            f"{'was' if len(unknown) == 1 else 'were'} unexpected); known are {', '.join(NAMES)}"
        )
    for name in ("k", "predictor_type", "sample_size"):
        if name not in given:
            raise ClientError(f"{name!r} is a required hyperparameter")

    feature_dim = positive_integer(given, "feature_dim") if "feature_dim" in given else None
    index_type = one_of(given, "index_type", INDEX_TYPES, "faiss.Flat")
    index_metric = one_of(given, "index_metric", INDEX_METRICS, "L2")
    parsed = Hyperparameters(
        k=positive_integer(given, "k"),
        predictor_type=one_of(given, "predictor_type", PREDICTOR_TYPES),
        sample_size=positive_integer(given, "sample_size"),
        feature_dim=feature_dim,
        index_type=index_type,
        index_metric=index_metric,
        mini_batch_size=positive_integer(given, "mini_batch_size", 5000),
    )
    check_reduction(given, feature_dim)
    check_index_options(given, index_type, index_metric)
    if parsed.k > parsed.sample_size:
        raise ClientError(
            f"Hyperparameter k ({parsed.k}) must not be greater than sample_size "
            f"({parsed.sample_size})"
        )
    refuse_what_is_not_built(given, parsed)
    return parsed


def positive_integer(given: Mapping[str, str], name: str, default: int | None = None) -> int:
    """The value as an integer of at least 1."""
    text = given.get(name)
    if text is None and default is not None:
        return default
    try:
        number = int(str(text))
    except ValueError:
        number = 0
    if number < 1:
        raise ClientError(f"Hyperparameter {name} must be a positive integer, not {text!r}")
    return number


def one_of(
    given: Mapping[str, str], name: str, allowed: tuple[str, ...], default: str | None = None
) -> str:
    """The value, if it is one of those allowed."""
    value = given.get(name, default)
    if value not in allowed:
        raise ClientError(
            f"Hyperparameter {name}: {value!r} is not one of {', '.join(map(repr, allowed))}"
        )
    return value


def check_reduction(given: Mapping[str, str], feature_dim: int | None) -> None:
    """A reduction needs a type and a target below the dimension of the features."""
    kind, target = "dimension_reduction_type", "dimension_reduction_target"
    if kind in given:
        one_of(given, kind, REDUCTION_TYPES)
        if target not in given:
            raise ClientError(f"{target!r} is required with {kind}")
    if target in given:
        if kind not in given:
            raise ClientError(f"{kind!r} is required with {target}")
        to = positive_integer(given, target)
        if feature_dim is not None and to >= feature_dim:
            raise ClientError(
                f"Hyperparameter {target} ({to}) must be greater than 0 and less than "
                f"feature_dim ({feature_dim})"
            )


def check_index_options(given: Mapping[str, str], index_type: str, index_metric: str) -> None:
    """The options that only some indexes take."""
    if index_type == "faiss.IVFPQ" and index_metric != "L2":
        raise ClientError(f"index_metric {index_metric} is not supported with faiss.IVFPQ")
    nlists = given.get("faiss_index_ivf_nlists", "auto")
    if nlists != "auto":
        positive_integer(given, "faiss_index_ivf_nlists")
    if "faiss_index_pq_m" in given and positive_integer(given, "faiss_index_pq_m") not in PQ_M:
        raise ClientError(
            f"Hyperparameter faiss_index_pq_m: {given['faiss_index_pq_m']!r} is not one of "
            f"{', '.join(map(str, PQ_M))}"
        )


def refuse_what_is_not_built(given: Mapping[str, str], parsed: Hyperparameters) -> None:
    """Say plainly what this implementation lacks, rather than train something else."""
    if parsed.index_type != "faiss.Flat":
        raise ClientError(f"index_type {parsed.index_type} is not available here, only faiss.Flat")
    if parsed.index_metric != "L2":
        raise ClientError(f"index_metric {parsed.index_metric} is not available here, only L2")
    if "dimension_reduction_type" in given:
        raise ClientError("dimension_reduction_type is not available here")
