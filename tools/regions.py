"""Write what is known of regions into ``template.yaml``, a section at a time.

``images``: the account that holds the k-NN image, from the SageMaker SDK, which has an environment
of its own. ``services``: where those that are not everywhere can be deployed, from cfn-lint and
botocore.

.venv-sdk/bin/python tools/regions.py images              writes
.venv/bin/python tools/regions.py services --check        exits with 1 if the template differs
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
SERVERLESS = {
    *("af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-south-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1", "eu-central-1"),
    *("eu-north-1", "eu-south-1", "eu-west-1", "eu-west-2", "eu-west-3", "me-south-1"),
    *("sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
}
"""Where there are serverless endpoints. Source: Amazon SageMaker developer guide, "Deploy models
with Amazon SageMaker Serverless Inference", quotas by region."""
_URI = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/knn:1")
_REGION_WITH_IMAGE = re.compile(r"([a-z0-9-]+): \{Account: ")


def accounts() -> dict[str, str]:
    """Return the account that holds the k-NN image, by region.

    The rest of the image's address is the same everywhere: the region, and the partition's domain,
    which CloudFormation knows as ``AWS::URLSuffix``.
    """
    from sagemaker.core import image_uris

    config = image_uris.config_for_framework("knn")
    found = {}
    for region in sorted(config["versions"]["1"]["registries"]):
        uri = image_uris.retrieve("knn", region, version="1")
        match = _URI.fullmatch(uri)
        if match is None or match["region"] != region:
            raise ValueError(f"not the image's usual address: {uri}")
        found[region] = match["account"]
    return found


def offered(regions: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return "yes" or "no" for SES, Budgets, API destinations and serverless endpoints, by region.

    A service is offered where CloudFormation has the resource's type, by cfn-lint's schemas, and
    the service an endpoint, by botocore: of isolated partitions cfn-lint has no schemas and takes
    those of us-east-1.
    """
    from boto3.session import Session
    from cfnlint.schema import PROVIDER_SCHEMA_MANAGER

    session = Session()
    partitions = session.get_available_partitions()
    with_ses = {
        region
        for partition in partitions
        for region in session.get_available_regions("sesv2", partition)
    }
    # Budgets belong to an account, and have one endpoint a partition.
    with_budgets = {
        partition
        for partition in partitions
        if session.get_available_regions("budgets", partition, allow_non_regional=True)
    }
    found = {}
    for region in regions:
        types = PROVIDER_SCHEMA_MANAGER.get_resource_types(region)
        partition = session.get_partition_for_region(region)
        found[region] = {
            "Ses": _yes("AWS::SES::EmailIdentity" in types and region in with_ses),
            "Budgets": _yes("AWS::Budgets::Budget" in types and partition in with_budgets),
            "Webhooks": _yes("AWS::Events::ApiDestination" in types),
            "Serverless": _yes(region in SERVERLESS),
        }
    return found


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def images(template: str) -> list[str]:
    """Return the mapping of k-NN images, as lines of YAML."""
    found = [f'{region}: {{Account: "{account}"}}' for region, account in accounts().items()]
    return _mapping("KnnImage", found)


def services(template: str) -> list[str]:
    """Return the mapping of services, as lines of YAML, for the regions that have an image."""
    found = [
        f"{region}: {{{', '.join(f'{name}: "{has}"' for name, has in has_service.items())}}}"
        for region, has_service in offered(_REGION_WITH_IMAGE.findall(template)).items()
    ]
    return _mapping("Offered", found)


def _mapping(name: str, regions: list[str]) -> list[str]:
    rows = (", ".join(row) for row in itertools.batched(regions, 3, strict=False))
    return [f"  {name}: {{", *(f"    {row}," for row in rows), "  }"]


SECTIONS: dict[str, Callable[[str], list[str]]] = {"images": images, "services": services}


def with_section(template: str, name: str) -> str:
    """Return the template with a section, from its mark to its end, written anew."""
    section = re.compile(
        rf"(?P<begin>  # By tools/regions\.py {name},.*\n)(?:.*\n)*?"
        rf"(?P<end>  # End of what tools/regions\.py {name} writes\.\n)"
    )
    lines = SECTIONS[name](template)
    written, count = section.subn(
        lambda marks: marks["begin"] + "\n".join(lines) + "\n" + marks["end"], template
    )
    if count != 1:
        raise ValueError(f"the template has {count} sections of {name}, instead of one")
    return written


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Let the template say of regions what SDKs and schemas do."
    )
    parser.add_argument("section", choices=SECTIONS)
    parser.add_argument("--check", action="store_true", help="only tell whether they are the same")
    parser.add_argument("--template", type=Path, default=TEMPLATE)
    options = parser.parse_args()
    template = options.template.read_text()
    written = with_section(template, options.section)
    if options.check and written != template:
        print(
            f"template.yaml differs from what is known of {options.section}: run make regions",
            file=sys.stderr,
        )
        return 1
    if not options.check:
        options.template.write_text(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
