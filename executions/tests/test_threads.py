"""Calls of tests in a thread."""

from threading import Event

import pytest

from executions.tests.threads import in_thread


def test_a_call_that_does_not_end_is_an_error_and_not_waited_for() -> None:
    is_over = Event()
    with pytest.raises(TimeoutError, match=r"has not ended after 0\.1 seconds"):
        in_thread(lambda: is_over.wait(30), seconds=0.1)
    assert not is_over.is_set()
    is_over.set()


def test_a_thread_returns_and_raises_what_its_call_does() -> None:
    assert in_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        in_thread(lambda: 1 / 0)
