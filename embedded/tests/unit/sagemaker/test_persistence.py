"""State that is kept while the server goes on."""

import json

import pytest

from embedded_aws.autoscaling import records
from embedded_aws.aws.platform import Scope
from embedded_aws.sagemaker import persistence, store

SCOPE = Scope("000000000000", "us-east-1")


def test_the_state_to_keep_does_not_change_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.endpoints, "rows", {})
    monkeypatch.setattr(records.targets, "rows", {})
    for table in (store.endpoints, records.targets):
        table.put(SCOPE, "iris", {"Hosted": [{"CurrentWeight": 1.0}]})
    kept = [persistence.get_state(), records.TABLES.get_state()]
    before = json.dumps(kept)
    for table in (store.endpoints, records.targets):
        document = table.get(SCOPE, "iris")
        assert document is not None
        document["Hosted"][0]["DesiredWeight"] = 2.0
    assert json.dumps(kept) == before
