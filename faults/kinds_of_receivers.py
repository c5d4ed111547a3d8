"""The faults of a receiver of webhooks: each failure is delivered at least once, with one id; recording is not
slower."""

import statistics
import time
import uuid

from .environment import Environment
from .fault_run import Kind

UNDELIVERED = "message msg_[0-9a-f]+ was not delivered: "
TRIED_IN = 60.0  # seconds, in which a message is tried: a run fails each second, and is found two seconds later
LONGER = 1.0  # seconds, at most, until the receiver is well again: pauses between tries grow fast
REQUESTS = 20
SLOWER, MORE = 3, 0.2  # times, and seconds: what other work of the machine explains


def hang(environment: Environment) -> str | None:
    return _disturb(environment, "hang")


def answer_500(environment: Environment) -> str | None:
    return _disturb(environment, "500")


def kill_receiver(environment: Environment) -> str | None:
    """Kill the receiver while it has messages that it has not answered."""
    fault = _wait_for_try(environment, "hang")
    environment.receiver.kill()
    environment.receiver.answer("204")
    time.sleep(environment.chance.uniform(0, LONGER))
    environment.receiver.start()
    return fault or environment.fault_of_messages()


def _disturb(environment: Environment, mode: str) -> str | None:
    before = _seconds_of_a_request(environment)
    fault = _wait_for_try(environment, mode)
    meanwhile = _seconds_of_a_request(environment)
    time.sleep(environment.chance.uniform(0, LONGER))
    environment.receiver.answer("204")
    if fault:
        return fault
    if meanwhile > SLOWER * before + MORE:
        return f"a request took {meanwhile:.3f} s while the receiver did not take messages, and {before:.3f} before"
    return environment.fault_of_messages()


def _wait_for_try(environment: Environment, mode: str) -> str | None:
    """Let the receiver answer so, and wait until it has got a message. Return what is wrong."""
    environment.receiver.answer(mode)
    until = time.monotonic() + TRIED_IN
    while not environment.receiver.is_tried(mode):
        if time.monotonic() > until:
            return f"no message was sent in {TRIED_IN:.0f} s"
        time.sleep(0.1)
    return None


def _seconds_of_a_request(environment: Environment) -> float:
    """Return the median time of a request that records something."""
    body = {"workflow": environment.workflow, "trigger_type": "manual", "metadata": {"allow_concurrent": True}}
    calls, times = environment.calls(), list[float]()
    for _each in range(REQUESTS):
        began = time.monotonic()
        calls.attempt("executions/", body, str(uuid.uuid4()))
        times.append(time.monotonic() - began)
    return statistics.median(times)


RECEIVERS = [
    Kind("webhook receiver hangs", hang, f"{UNDELIVERED}no answer"),
    Kind("webhook receiver answers 500", answer_500, f"{UNDELIVERED}500"),
    Kind("kill -9 of the webhook receiver", kill_receiver, f"{UNDELIVERED}no answer"),
]
