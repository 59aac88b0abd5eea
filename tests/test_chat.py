import pytest

from altyn.chat import Fault, Usage

KINDS = {
    "input_uncached": 1,
    "cache_read": 10,
    "cache_write_5m": 100,
    "cache_write_1h": 1000,
    "audio_input": 10_000,
    "output_text": 3,
    "reasoning": 30,
    "image": 300,
}


def test_the_kinds_of_a_prompt_add_up_to_it():
    assert Usage(**KINDS).input_tokens == 11_111


def test_the_kinds_of_a_completion_add_up_to_it():
    assert Usage(**KINDS).output_tokens == 333


def test_everything_adds_up_to_the_total_and_searches_are_no_tokens():
    assert Usage(**KINDS, web_searches=7).total_tokens == 11_444


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault("timeout"), "timeout"),
        (Fault("server", "oops", status=500), "server 500 oops"),
        (Fault("connect", "refused"), "connect  refused"),
    ],
)
def test_a_fault_tells_the_operator_what_happened(fault, told):
    assert str(fault) == told


def test_a_fault_is_the_first_attempts_until_somebody_says_otherwise():
    fault = Fault("rate_limit", retry_after_s=3.0, param="n")

    assert (fault.attempts, fault.provider, fault.retry_after_s, fault.param) == (1, None, 3.0, "n")
