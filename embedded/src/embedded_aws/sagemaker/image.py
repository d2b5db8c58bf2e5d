"""Which container images this SageMaker can run."""

import re

from embedded_aws.aws.errors import validation_error

KNN_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/knn(:1|:latest)?")


def require_known_image(image: str | None) -> None:
    """Refuse any image but that of the built-in k-NN, whatever its region."""
    if image is None or not KNN_IMAGE.fullmatch(image):
        raise validation_error(
            f"The embedded SageMaker can't run the image {image!r}: it has the built-in k-NN "
            "algorithm only, <account>.dkr.ecr.<region>.amazonaws.com/knn:1"
        )
