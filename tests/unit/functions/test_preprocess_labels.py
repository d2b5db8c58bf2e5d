"""Labels and the classes that they spell."""

import pytest

from pipeline.settings import Settings
from preprocess.labels import class_key, class_order
from tests.unit.functions.preprocessing import Prepared, prepared, refusal_of


def table(*labels: str, x: str = "{}.5") -> str:
    return "x,label\n" + "".join(f"{x.format(row)},{label}\n" for row, label in enumerate(labels))


def test_integer_classes_are_ordered_by_value_and_others_by_text():
    assert class_order(["10", "9", "-1"]) == ["-1", "9", "10"]
    assert class_order(["b", "10", "9"]) == ["10", "9", "b"]


def spelled(*labels: str, **options: object) -> Prepared:
    return prepared(table(*labels * 3), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        (("1", "1.0", "2", "2.0"), ["1", "2"]),
        (("1.0", "2.0", "3.00"), ["1", "2", "3"]),
        (("1", "1.", "+1", "1e0", "-2", "-2.0"), ["-2", "1"]),
        (("red", "Red", "red", "blue", "BLUE", "BLUE"), ["BLUE", "red"]),
        (("red", " red ", "red\u00a0", "blue"), ["blue", "red"]),
        (("light  blue", "light blue", "light blue", "b"), ["b", "light blue"]),
        (("Straße", "STRASSE", "Straße", "b"), ["Straße", "b"]),
        (("e\u0301", "é", "é", "b"), ["b", "é"]),
        (("true", "TRUE", "TRUE", "False"), ["False", "TRUE"]),
        (("0.5", "0.50", "1.5", "1.50"), ["0.5", "1.5"]),
    ],
)
def test_spellings_of_one_class_are_one_class_by_the_most_frequent(labels, classes):
    found = spelled(*labels)
    assert list(found.classes.counts) == classes
    assert sum(found.classes.counts.values()) == 3 * len(labels)
    written = {label.strip() for label in labels}
    assert set(found.classes.spellings) == written - set(classes)
    assert all(found.schema.class_of(label) >= 0 for label in written)


@pytest.mark.parametrize("label", ["a b", "1.5", "10", "a-b", "A1", "1 a", "١", "0x1"])
def test_what_is_not_one_class_stays_apart(label):
    others = ["ab", "15", "1", "a_b", "a11", "1a", "1e1000", "1.50000001"]
    assert class_key(label) not in {class_key(other) for other in others}


def test_a_class_keeps_the_name_that_it_has_in_the_dataset():
    found = spelled("1", "2", "red", known=("1.0", "2.0", "Red", "blue"))
    assert list(found.classes.counts) == ["1.0", "2.0", "Red"]
    assert found.classes.spellings == {"1": "1.0", "2": "2.0", "red": "Red"}


def test_a_class_of_the_settings_has_their_name():
    found = spelled("RED", "Blue", settings=Settings(classes=("blue", "red")))
    assert found.classes.counts == {"blue": 3, "red": 3}


def test_classes_whose_keys_have_leading_zeros_keep_them():
    assert list(spelled("007", "008").classes.counts) == ["007", "008"]


@pytest.mark.parametrize("missing", ["", "NA", "N/A", "NaN", "None", "null", "?", "#N/A", "<NA>"])
def test_rows_without_a_label_are_set_aside_and_speak_against_no_file(missing):
    found = spelled("a", "b", missing, missing)
    assert found.classes.counts == {"a": 3, "b": 3}
    assert found.survey.profile.rejects == {"missing label": 6}


@pytest.mark.parametrize("label", ["none", "na", "Null", "NONE", "nil"])
def test_a_word_that_pandas_does_not_take_for_missing_is_a_class(label):
    assert set(spelled("a", label).classes.counts) == {"a", label}


def test_a_class_that_the_settings_name_is_one_though_its_name_means_missing():
    found = spelled("NA", "b", settings=Settings(classes=("NA", "b")))
    assert found.classes.counts == {"NA": 3, "b": 3}


def test_a_label_that_the_settings_do_not_list_has_its_row_set_aside():
    rows = table("a", "b", "a", "b", "c")
    found = prepared(rows, Settings(classes=("b", "a"), max_rejected_fraction=0.3))
    assert found.rejected == [
        (6, 'column "label": "c" is not among the classes of the settings'),
    ]


@pytest.mark.parametrize(
    ("label", "says"),
    [
        ('"a\nb"', "holds a line break or a control character"),
        ("a\x07", "holds a line break or a control character"),
        ("z" * 257, "is longer than 256 characters"),
    ],
)
def test_a_label_that_can_be_none_has_its_row_set_aside(label, says):
    found = prepared(table(*["a", "b"] * 5, label))
    assert found.rejected == [(12, f'column "label": the label {says}')]


def test_a_class_with_a_single_row_is_set_aside_if_others_remain():
    found = prepared(table(*["a", "b"] * 8, "c", "TOTAL"))
    assert found.rejected == [
        (18, 'it is the only row of the class "c"'),
        (19, "it adds up the other rows"),
    ]
    assert found.survey.profile.kept == 16
    assert found.classes.counts == {"a": 8, "b": 8}
    refusal = refusal_of(table("a", "a", "b"))
    assert (refusal.code, '"b" on line 4' in refusal.message) == ("SingleRowClass", True)


def test_a_class_that_two_spellings_have_one_row_of_each_has_two():
    assert prepared(table("a", "a", "b", "b", "c", "C")).classes.counts["C"] == 2


@pytest.mark.parametrize("block", [20, 50, 1 << 20])
def test_the_first_single_row_of_a_class_is_named_in_blocks_of_any_size(block):
    assert '"a" on line 2' in refusal_of(table(*"abbcdefgh"), block=block).message


@pytest.mark.parametrize("count", [2, 17, 300, 1000])
def test_up_to_a_thousand_classes_are_told_apart(count):
    labels = [f"class {n} {'é' * (n % 30)}." for n in range(count)]
    found = prepared("x,label\n" + "".join(f"{n},{label}\n" for n in range(2) for label in labels))
    assert found.classes.counts == dict.fromkeys(class_order(labels), 2)


def test_labels_that_differ_late_or_only_in_length_are_different():
    labels = ["a" * 8, "a" * 9, "a" * 16, "a" * 64, "a" * 65, "a" * 63 + "b", "a" * 200]
    assert spelled(*labels).classes.counts == dict.fromkeys(sorted(labels), 3)


@pytest.mark.parametrize("prove", [True, False])
def test_more_classes_than_a_label_has_are_refused(prove):
    content = "x,label\n" + "".join(f"{n},name-{n}\n" * 2 for n in range(1001))
    assert refusal_of(content, Settings(label="label"), prove=prove).code == "TooManyClasses"
    few = "x,label\n1,a\n2,a\n3,b\n4,b\n"
    known = [f"name-{n}" for n in range(999)]
    assert prepared(few, known=known).classes.counts == {"a": 2, "b": 2}


def test_measured_numbers_are_no_classes():
    content = table(*(f"{n}.25" for n in range(40)))
    refusal = refusal_of(content, Settings(label="label"))
    assert refusal.code == "ContinuousLabel"
    assert '40 different ones in 40 rows, such as "0.25" on line 2' in refusal.message


def test_classes_that_are_not_whole_may_have_a_single_row_among_them():
    found = prepared(table(*["0.5", "1.5", "2"] * 6, "4.75"))
    assert found.classes.counts == {"0.5": 6, "1.5": 6, "2": 6}
    assert found.rejected == [(20, 'it is the only row of the class "4.75"')]


def test_rows_that_are_all_set_aside_are_refused_with_the_reason_even_if_all_may_be():
    content = "x,label\noops,a\n1,\n2,\n3,\n"
    refusal = refusal_of(content, Settings(label="label", max_rejected_fraction=1, features=("x",)))
    assert refusal.code == "OneClass"
    assert 'has only the class "a"' in refusal.message or "has no class" in refusal.message
