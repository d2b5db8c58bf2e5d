"""Errors that all of SageMaker's resources have."""

from embedded_aws.aws.errors import ServiceError, validation_error


def not_found(kind: str, arn: str) -> ServiceError:
    """Return ``Could not find endpoint "arn:…".``."""
    return validation_error(f'Could not find {kind} "{arn}".')


def already_exists(kind: str, arn: str) -> ServiceError:
    """Return ``Cannot create already existing endpoint "arn:…".``.

    Source: seen in hashicorp/terraform-provider-aws issue 40080 and
    awslabs/spot-tagging-bot-for-digital-assets issue 2.
    """
    return validation_error(f'Cannot create already existing {kind} "{arn}".')
