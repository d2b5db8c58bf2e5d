"""Settings on the command line: what becomes an upload's metadata, what a schema.json."""

import io
import json
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.dataset_settings import change_settings, metadata_of
from cli.errors import Problem
from cli.stack import Stack
from preprocess.settings import resolve_settings

STACK = Stack("inbox", "runs", "arn", "registry", "url", "url", "key")

names = st.text(min_size=1, max_size=30).map(str.strip).filter(bool)


def read_back(*given_settings: str, **options: Any) -> Any:
    """The settings that Preprocess reads from the metadata that the command line writes."""
    options = {"label": None, "ignore": (), "allow_changes": False, "promote": True} | options
    metadata = metadata_of(
        options["label"],
        options["ignore"],
        given_settings,
        allow_changes=options["allow_changes"],
        promote=options["promote"],
    )
    for name, text in metadata.items():
        assert f"{name}{text}".isascii()
        assert f"{name}{text}".isprintable()
        assert " " not in text
    return resolve_settings({}, metadata=metadata).settings


@given(names, st.lists(names, max_size=4, unique=True))
def test_names_in_any_script_with_any_punctuation_come_back_as_they_were(label, ignore):
    ignore = [name for name in ignore if name != label]
    settings = read_back(label=label, ignore=ignore)
    assert (settings.label, settings.ignore) == (label, tuple(ignore))


@pytest.mark.parametrize(
    "name",
    [
        "Kundensegment größer",
        "顧客区分",
        "a,b",
        "a;b",
        "k=v",
        "100%",
        "50%20",
        "a+b",
        "'q' \"q\"",
        "a  b",
    ],
)
def test_such_a_name_comes_back(name):
    assert read_back(label=name).label == name
    assert read_back(ignore=[name, "other"]).ignore == (name, "other")


def test_other_settings_are_written_as_in_metadata():
    settings = read_back("k=5", "features=größe;a%3Bb;50%2520", "minimum_accuracy=0.8")
    assert (settings.k, settings.minimum_accuracy) == (5, 0.8)
    assert settings.features == ("größe", "a;b", "50%20")


def test_changes_are_allowed_only_if_asked():
    assert read_back(allow_changes=True).allow_changes is True
    assert read_back().allow_changes is False


def test_an_upload_can_ask_not_to_be_promoted():
    assert read_back(promote=False).promote is False
    assert read_back().promote is True


@pytest.mark.parametrize(
    ("given_settings", "says"),
    [
        (["k"], "Write NAME=VALUE, for example k=5"),
        (["kk=5"], 'there is no setting "kk"'),
        (["k=many"], '"k"'),
        (["minimum_accuracy=2"], '"minimum_accuracy"'),
        (["label=a", "features=a;b"], '"features" has "a", which is the label'),
        (["classes=" + ";".join("x" * 200 + str(place) for place in range(20))], "2,048 bytes"),
    ],
)
def test_what_would_be_refused_is_said_before_anything_is_uploaded(given_settings, says):
    with pytest.raises(Problem) as problem:
        read_back(*given_settings)
    assert says in problem.value.message


class Inbox:
    """A bucket, as far as settings need one."""

    exceptions = type("Exceptions", (), {"NoSuchKey": KeyError})

    def __init__(self, schema: str | None = None) -> None:
        self.objects = {} if schema is None else {"iris/schema.json": schema.encode()}

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        return {"Body": io.BytesIO(self.objects[Key])}

    def put_object(self, Bucket: str, Key: str, Body: bytes, **_: Any) -> None:  # noqa: N803
        self.objects[Key] = Body

    def delete_object(self, Bucket: str, Key: str) -> None:  # noqa: N803
        del self.objects[Key]

    @property
    def schema(self) -> dict[str, Any] | None:
        text = self.objects.get("iris/schema.json")
        return None if text is None else json.loads(text)


@pytest.fixture
def inbox(monkeypatch: pytest.MonkeyPatch) -> Any:
    def of(schema: str | None = None) -> Inbox:
        bucket = Inbox(schema)
        monkeypatch.setattr(boto3, "client", lambda service: bucket)
        return bucket

    return of


def test_settings_are_shown_set_and_removed(inbox):
    bucket = inbox()
    assert change_settings(STACK, "iris", {}, []) == {}
    assert bucket.schema is None
    wanted = {"k": 5, "ignore": ["a;b", "größe"]}
    given_texts = {"k": "5", "ignore": "a%3Bb;größe"}
    assert change_settings(STACK, "iris", given_texts, []) == wanted == bucket.schema
    assert change_settings(STACK, "iris", {}, []) == wanted
    assert (
        change_settings(STACK, "iris", {"k": "auto"}, ["ignore"]) == {"k": "auto"} == bucket.schema
    )
    assert change_settings(STACK, "iris", {}, ["k"]) == {}
    assert bucket.schema is None


@pytest.mark.parametrize(
    ("dataset", "changes", "remove", "says"),
    [
        ("My Data", {}, [], "can't be the name of a dataset"),
        ("iris", {"neighbours": "5"}, [], 'there is no setting "neighbours"'),
        ("iris", {"k": "-1"}, [], '"k"'),
        ("iris", {}, ["label"], "iris has no setting label"),
        ("iris", {"ignore": "species"}, [], '"ignore" has "species", which is the label'),
    ],
)
def test_a_setting_that_cannot_be_is_refused_and_nothing_is_changed(
    inbox, dataset, changes, remove, says
):
    bucket = inbox('{"k": 3}')
    if "ignore" in changes:
        bucket = inbox('{"k": 3, "label": "species"}')
    before = dict(bucket.objects)
    with pytest.raises(Problem) as problem:
        change_settings(STACK, dataset, changes, remove)
    assert says in problem.value.message
    assert bucket.objects == before


@pytest.mark.parametrize("schema", ["{", "[1]", "5"])
def test_a_schema_that_is_no_json_object_is_said_to_be_none(inbox, schema):
    inbox(schema)
    with pytest.raises(Problem, match="is not a JSON object"):
        change_settings(STACK, "iris", {"k": "5"}, [])
