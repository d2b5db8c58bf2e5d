"""Write what the SDKs know of regions into ``template.yaml``.

That is the account that holds the k-NN image, from the SageMaker SDK, and which services of those
that are not everywhere there are, from botocore.

.venv-sdk/bin/python scripts/regions.py            writes
.venv-sdk/bin/python scripts/regions.py --check    exits with 1 if the template differs
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterable
from pathlib import Path

TEMPLATE = Path(__file__).parent.parent / "template.yaml"
BEGIN = "  # By scripts/regions.py, from the SageMaker SDK and botocore."
END = "  # End of what scripts/regions.py writes."
_URI = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.[a-z0-9.-]+/knn:1")


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
    """Return "yes" or "no" for SES and for Budgets, by region."""
    from boto3.session import Session

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
    return {
        region: {
            "Ses": _yes(region in with_ses),
            "Budgets": _yes(session.get_partition_for_region(region) in with_budgets),
        }
        for region in regions
    }


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def mappings() -> str:
    """Return the section between the marks, as YAML."""
    by_region = accounts()
    images = [f'    {region}: {{Account: "{account}"}}' for region, account in by_region.items()]
    services = [
        f"    {region}: {{{', '.join(f'{name}: "{has}"' for name, has in services.items())}}}"
        for region, services in offered(by_region).items()
    ]
    return "\n".join([BEGIN, "  KnnImage:", *images, "  Offered:", *services, END])


def with_mappings(template: str) -> str:
    """Return the template with the section between the marks written anew."""
    section = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    written, count = section.subn(lambda _: mappings(), template)
    if count != 1:
        raise ValueError(f"the template has {count} sections between the marks, instead of one")
    return written


def main() -> int:
    """Write or check; return the exit status."""
    parser = argparse.ArgumentParser(
        description="Let the template say of regions what the SDKs do."
    )
    parser.add_argument("--check", action="store_true", help="only tell whether they are the same")
    parser.add_argument("--template", type=Path, default=TEMPLATE)
    options = parser.parse_args()
    template = options.template.read_text()
    written = with_mappings(template)
    if options.check and written != template:
        print("template.yaml and the SDKs differ: run make regions", file=sys.stderr)
        return 1
    if not options.check:
        options.template.write_text(written)
    return 0


if __name__ == "__main__":
    sys.exit(main())
