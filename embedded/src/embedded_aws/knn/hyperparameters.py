"""Hyperparameters of k-NN: strings in, a checked value object out.

Sources: SageMaker developer guide, "k-NN Hyperparameters"; for the defaults, the configuration
that the algorithm itself prints at the start of a training job (log in
aws/amazon-sagemaker-examples, k_nearest_neighbors_covtype.ipynb, 2021-06-07: ``feature_dim``
"auto", ``_faiss_index_nprobe`` 5, ``epochs`` 1); for the form of the messages,
aws/sagemaker-python-sdk issue 132 and the validator that aws/sagemaker-rl-container took over
from the built-in algorithms (vw_serving/sagemaker/config).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from embedded_aws.knn.errors import ClientError

REQUIRED = ("k", "predictor_type", "sample_size")
CHOICES = {
    "predictor_type": ("classifier", "regressor"),
    "index_type": ("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ"),
    "index_metric": ("L2", "INNER_PRODUCT", "COSINE"),
    "dimension_reduction_type": ("sign", "fjlt"),
    "faiss_index_pq_m": tuple(
        map(str, (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 96))
    ),
}
POSITIVE_INTEGERS = ("k", "sample_size", "dimension_reduction_target", "mini_batch_size", "epochs")
AUTO_OR_POSITIVE_INTEGERS = ("feature_dim", "faiss_index_ivf_nlists")
NAMES = {*CHOICES, *POSITIVE_INTEGERS, *AUTO_OR_POSITIVE_INTEGERS}
# An internal one of the algorithm's, as all whose names begin with an underscore.
NPROBE = "_faiss_index_nprobe"
POSITIVE_INTEGER = re.compile(r"[1-9][0-9]{0,17}")


@dataclass(frozen=True)
class Hyperparameters:
    """Checked hyperparameters.

    Attributes
    ----------
        feature_dim: None to take it from the data.
        faiss_index_ivf_nlists: None for "auto", the square root of the sample's size.
        nprobe: lists of an inverted file that a search looks through.
    """

    k: int
    predictor_type: str
    sample_size: int
    feature_dim: int | None = None
    dimension_reduction_type: str | None = None
    dimension_reduction_target: int | None = None
    index_type: str = "faiss.Flat"
    index_metric: str = "L2"
    faiss_index_ivf_nlists: int | None = None
    faiss_index_pq_m: int | None = None
    mini_batch_size: int = 5000
    nprobe: int = 5


def parse_hyperparameters(given: Mapping[str, str]) -> Hyperparameters:
    """Check the strings of a training job and fill in the defaults.

    Names that begin with an underscore are SageMaker's own (``_tuning_objective_metric``) and
    are passed over, but for ``_faiss_index_nprobe``. ``epochs`` is known and without effect.

    Raises ClientError: a name is unknown or missing, a value is out of its range, or values exclude
    each other.
    """
    nprobe = str(given.get(NPROBE, "5"))
    given = {name: str(value) for name, value in given.items() if not name.startswith("_")}
    check_names(given)
    for name, value in given.items():
        if name in CHOICES:
            check_choice(name, value)
        elif value != "auto" or name not in AUTO_OR_POSITIVE_INTEGERS:
            check_positive_integer(name, value)
    check_positive_integer(NPROBE, nprobe)

    def integer(name: str) -> int | None:
        value = given.get(name, "auto")
        return None if value == "auto" else int(value)

    parsed = Hyperparameters(
        k=int(given["k"]),
        predictor_type=given["predictor_type"],
        sample_size=int(given["sample_size"]),
        feature_dim=integer("feature_dim"),
        dimension_reduction_type=given.get("dimension_reduction_type"),
        dimension_reduction_target=integer("dimension_reduction_target"),
        index_type=given.get("index_type", "faiss.Flat"),
        index_metric=given.get("index_metric", "L2"),
        faiss_index_ivf_nlists=integer("faiss_index_ivf_nlists"),
        faiss_index_pq_m=integer("faiss_index_pq_m"),
        mini_batch_size=integer("mini_batch_size") or 5000,
        nprobe=int(nprobe),
    )
    check_together(parsed)
    return parsed


def check_names(given: Mapping[str, str]) -> None:
    """Only known names, and those that are required."""
    unknown = sorted(set(given) - NAMES)
    if unknown:
        verb = "was" if len(unknown) == 1 else "were"
        names = f"({', '.join(map(repr, unknown))} {verb} unexpected)"
        raise validation_error(
            f"Additional hyperparameters are not allowed {names}",
            f"Additional properties are not allowed {names}",
        )
    missing = [name for name in REQUIRED if name not in given]
    if missing:
        raise validation_error(
            f"No value(s) were specified for {', '.join(map(repr, missing))} which are required "
            "hyperparameter(s)",
            f"{missing[0]!r} is a required property",
        )


def check_choice(name: str, value: str) -> None:
    """The value is one of those allowed."""
    if value not in CHOICES[name]:
        allowed = ", ".join(map(repr, CHOICES[name]))
        raise validation_error(
            f"The value '{value}' is not valid for the '{name}' hyperparameter which accepts one "
            f"of the following: {allowed}",
            f"{value!r} is not one of [{allowed}]",
        )


def check_positive_integer(name: str, value: str) -> None:
    """The value is an integer of at least 1."""
    if not POSITIVE_INTEGER.fullmatch(value):
        auto = "'auto'; or " if name in AUTO_OR_POSITIVE_INTEGERS else ""
        raise validation_error(
            f"The value '{value}' is not valid for the '{name}' hyperparameter which expects one "
            f"of the following: {auto}a positive integer",
            f"{value!r} is not valid under any of the given schemas",
        )


def validation_error(message: str, cause: str) -> ClientError:
    """A message with its cause, as the built-in algorithms give them."""
    return ClientError(f"{message} (caused by ValidationError)\n\nCaused by: {cause}")


def check_together(parsed: Hyperparameters) -> None:
    """Values that exclude or need each other."""
    if parsed.k > parsed.sample_size:
        raise ClientError(
            f"k ({parsed.k}) must not be greater than sample_size ({parsed.sample_size})"
        )
    if parsed.dimension_reduction_type and parsed.dimension_reduction_target is None:
        raise ClientError(
            "'dimension_reduction_target' is required when 'dimension_reduction_type' is set"
        )
    if parsed.feature_dim is not None:
        check_reduction_target(parsed, parsed.feature_dim)
    if parsed.index_type == "faiss.IVFPQ":
        if parsed.index_metric != "L2":
            raise ClientError(
                f"index_metric '{parsed.index_metric}' is not supported with index_type "
                "'faiss.IVFPQ', only 'L2' is"
            )
        if parsed.faiss_index_pq_m is None:
            raise ClientError("'faiss_index_pq_m' is required when 'index_type' is 'faiss.IVFPQ'")


def check_reduction_target(parsed: Hyperparameters, feature_dim: int) -> None:
    """A reduction's target is below the dimension of the features, once that is known."""
    target = parsed.dimension_reduction_target
    if parsed.dimension_reduction_type and target is not None and target >= feature_dim:
        raise ClientError(
            f"dimension_reduction_target ({target}) must be greater than 0 and less than "
            f"feature_dim ({feature_dim})"
        )
