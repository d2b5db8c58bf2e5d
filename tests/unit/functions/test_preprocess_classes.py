import pytest

from classes import class_order
from pipeline.errors import Refusal
from tests.unit.functions.preprocessing import prepared, refusal_of


def test_classes_are_coded_in_their_order_whatever_row_comes_first():
    result = prepared("x,label\n1,b\n2,a\n3,b\n4,a\n")
    assert result.schema.classes == ("a", "b")
    assert result.clean == "1,1\n0,2\n1,3\n0,4\n"


def test_integer_classes_are_ordered_by_value_and_others_by_text():
    assert class_order(["10", "9", "-1"]) == ["-1", "9", "10"]
    assert class_order(["b", "10", "9"]) == ["10", "9", "b"]


def test_a_class_that_comes_up_late_and_belongs_before_others_has_all_rows_written_anew():
    late = "".join(f"{n},b\n" for n in range(200_000)) + "1,a\n2,a\n"
    result = prepared("x,label\n" + late, block=1 << 18)
    assert result.schema.classes == ("a", "b")
    assert result.clean.startswith("1,0\n1,1\n")
    assert result.clean.endswith("0,1\n0,2\n")


def test_known_classes_keep_their_integers_and_new_ones_follow():
    result = prepared("x,label\n1,b\n2,b\n3,a\n4,a\n5,z\n6,z\n", known=("z", "q"))
    assert result.schema.classes == ("z", "q", "a", "b")
    assert [row[0] for row in result.rows] == ["b", "b", "a", "a", "z", "z"]


def test_the_schemas_classes_follow_the_known_ones_in_its_order():
    from dataset_schema import DatasetSchema

    schema = DatasetSchema(classes=("c", "b", "a"))
    result = prepared("x,label\n1,b\n2,b\n3,a\n4,a\n", known=("b",), schema=schema)
    assert result.schema.classes == ("b", "c", "a")


def test_the_classes_of_the_profile_are_those_with_rows():
    result = prepared("x,label\n1,b\n2,b\n3,a\n4,a\n5,c,extra\n", known=("z",))
    assert result.as_dict()["classes"] == {"a": 2, "b": 2}
    assert result.schema.classes == ("z", "a", "b")


@pytest.mark.parametrize("count", [2, 17, 300, 1000])
def test_up_to_a_thousand_classes_are_told_apart(count):
    labels = [f"class {n} {'é' * (n % 30)}." for n in range(count)]
    content = "x,label\n" + "".join(f"{n},{label}\n" for label in labels for n in range(2))
    result = prepared(content)
    assert [row[0] for row in result.rows] == [label for label in labels for _ in range(2)]


def test_labels_that_differ_late_or_only_in_length_are_different():
    labels = ["a" * 8, "a" * 9, "a" * 16, "a" * 64, "a" * 65, "a" * 63 + "b", "a" * 200]
    content = "x,label\n" + "".join(f"1,{label}\n" * 2 for label in labels)
    assert prepared(content).as_dict()["classes"] == dict.fromkeys(sorted(labels), 2)


def test_more_classes_than_a_label_has_are_refused():
    content = "x,label\n" + "".join(f"{n},name-{n}\n" * 2 for n in range(1001))
    assert refusal_of(content).code == "TooManyClasses"
    with pytest.raises(Refusal):
        prepared(content, prove=False)


def test_the_first_single_row_of_a_class_is_named_in_blocks_of_any_size():
    text = "x,label\n" + "".join(f"{n},{label}\n" for n, label in enumerate("abcdabze"))
    assert refusal_of(text).message == refusal_of(text, block=20).message
    assert '"c"' in refusal_of(text).message


def test_rows_that_are_all_set_aside_are_refused_with_the_reason_even_if_all_may_be():
    refusal = refusal_of("x,label\noops,a\n1,\n2,\n", max_rejected_fraction=1)
    assert refusal.code == "OneClass"
    assert '"oops" is not a number' in refusal.message
