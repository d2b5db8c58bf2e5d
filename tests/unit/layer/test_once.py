from pipeline.once import ONCE


def test_the_claim_of_a_crashed_function_has_gone_when_lambda_tries_again():
    # Source: Lambda developer guide: the first retry comes after one minute.
    assert ONCE.lambda_context.get_remaining_time_in_millis() < 60_000
