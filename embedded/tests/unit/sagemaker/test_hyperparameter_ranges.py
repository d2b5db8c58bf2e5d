"""Ranges of hyperparameters, and their scales."""

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from embedded_aws.aws.errors import ServiceError
from embedded_aws.sagemaker.tuning.ranges import (
    CategoricalRange,
    NumericRange,
    Range,
    combinations,
    parse_ranges,
)


def integer(low: str, high: str, scaling: str = "Auto", name: str = "k") -> dict[str, Any]:
    """ParameterRanges of one integer."""
    item = {"Name": name, "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {"IntegerParameterRanges": [item]}


def continuous(low: str, high: str, scaling: str = "Auto") -> dict[str, Any]:
    """ParameterRanges of one number."""
    item = {"Name": "rate", "MinValue": low, "MaxValue": high, "ScalingType": scaling}
    return {"ContinuousParameterRanges": [item]}


def only(given: dict[str, Any]) -> NumericRange:
    """The numeric range of a request that has one range."""
    (item,) = parse_ranges(given)
    assert isinstance(item, NumericRange)
    return item


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.floats(0, 1), st.booleans())
def test_every_place_in_a_range_of_integers_is_an_integer_within_its_bounds(
    low: int, width: int, at: float, logarithmic: bool
) -> None:
    scaling = "Logarithmic" if logarithmic else "Linear"
    item = only(integer(str(low), str(low + width), scaling))
    assert low <= int(item.value(at)) <= low + width


@given(st.integers(1, 10**4), st.integers(1, 10**4), st.data())
def test_an_integer_is_found_again_at_its_position(
    low: int, width: int, data: st.DataObject
) -> None:
    value = str(data.draw(st.integers(low, low + width)))
    for scaling in ("Linear", "Logarithmic"):
        item = only(integer(str(low), str(low + width), scaling))
        assert item.value(item.position(value)[0]) == value


@given(st.floats(0, 0.999), st.floats(0, 0.999), st.floats(0, 1))
def test_numbers_stay_within_their_bounds_on_every_scale(a: float, b: float, at: float) -> None:
    low, high = min(a, b), max(a, b)
    for scaling in ("Linear", "Logarithmic", "ReverseLogarithmic"):
        if scaling == "Logarithmic":
            assume(low > 1e-12)
        item = only(continuous(repr(low), repr(high), scaling))
        assert low <= float(item.value(at)) <= high


def test_the_scales_put_their_middle_where_they_should() -> None:
    assert float(only(continuous("0", "1", "Linear")).value(0.5)) == pytest.approx(0.5)
    assert float(only(continuous("0.0001", "1", "Logarithmic")).value(0.5)) == pytest.approx(0.01)
    reverse = only(continuous("0", "0.99", "ReverseLogarithmic"))
    assert float(reverse.value(0.5)) == pytest.approx(0.9)


def test_auto_takes_the_logarithm_of_ranges_of_several_orders_of_magnitude() -> None:
    assert only(integer("1", "1024")).scaling == "Logarithmic"
    assert only(integer("1", "10")).scaling == "Linear"
    assert only(integer("0", "1000")).scaling == "Linear"


def test_each_value_of_a_category_has_its_part() -> None:
    item = CategoricalRange("k", ("1", "3", "5"))
    assert [item.value(at / 10) for at in (0, 4, 9)] == ["1", "3", "5"]
    assert item.value(1.0) == "5"
    assert item.position("3") == [0, 1, 0]


def test_combinations_are_counted() -> None:
    ranges: list[Range] = parse_ranges(
        {
            **integer("1", "10"),
            "CategoricalParameterRanges": [{"Name": "sample_size", "Values": ["1", "2", "2"]}],
        }
    )
    assert combinations(ranges) == 20
    assert combinations(parse_ranges(continuous("0", "1"))) == float("inf")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (integer("1.5", "3"), r"\[1.5\], a bound of hyperparameter \[k\], is not an integer"),
        (continuous("a", "3"), "is not a number"),
        (continuous("0", "nan"), "is not a number"),
        (continuous("0", "inf"), "is not a number"),
        (integer("3", "1"), "must not be greater than MaxValue"),
        (integer("0", "3", "Logarithmic"), "only values greater than 0"),
        (integer("0", "3", "ReverseLogarithmic"), "only for continuous ranges"),
        (continuous("0", "1", "ReverseLogarithmic"), "within 0<=x<1.0"),
        (
            {**integer("1", "2"), "CategoricalParameterRanges": [{"Name": "k", "Values": ["1"]}]},
            "more than one range",
        ),
        (
            {
                "IntegerParameterRanges": [
                    {"Name": str(n), "MinValue": "1", "MaxValue": "2"} for n in range(31)
                ]
            },
            "more than 30 hyperparameters",
        ),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ServiceError, match=message) as refused:
        parse_ranges(given)
    assert refused.value.code == "ValidationException"


@pytest.mark.parametrize("text", ["1_0", "\u0663", " 5", "5 ", "0x1", "1e2", "", "9" * 5000])
def test_a_text_that_only_python_takes_for_an_integer_is_no_bound(text: str) -> None:
    with pytest.raises(ServiceError, match="is not an integer"):
        parse_ranges(integer(text, text))


@pytest.mark.parametrize("text", ["1_0.0", "\u0663", " 5", "nan", "infinity", "1e999", "."])
def test_a_text_that_only_python_takes_for_a_number_is_no_bound(text: str) -> None:
    with pytest.raises(ServiceError, match="is not a number"):
        parse_ranges(continuous(text, text))
