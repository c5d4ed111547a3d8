"""The faults of a receiver of webhooks: each failure is delivered at least once, with one id; recording is not
slower."""

import statistics
import time
import uuid

from .trial import Kind
from .world import World

TRIED_IN = 60.0  # seconds, in which a message is tried: a run fails each second, and is found two seconds later
LONGER = 1.0  # seconds, at most, until the receiver is well again: pauses between tries grow fast
REQUESTS = 20
SLOWER, MORE = 3, 0.2  # times, and seconds: what other work of the machine explains


def hang(world: World) -> str | None:
    return _disturb(world, "hang")


def answer_500(world: World) -> str | None:
    return _disturb(world, "500")


def kill_receiver(world: World) -> str | None:
    """Kill the receiver while it has messages that it has not answered."""
    fault = _wait_for_try(world, "hang")
    world.receiver.kill()
    world.receiver.answer("204")
    time.sleep(world.chance.uniform(0, LONGER))
    world.receiver.start()
    return fault or world.fault_of_messages()


def _disturb(world: World, mode: str) -> str | None:
    before = _seconds_of_a_request(world)
    fault = _wait_for_try(world, mode)
    meanwhile = _seconds_of_a_request(world)
    time.sleep(world.chance.uniform(0, LONGER))
    world.receiver.answer("204")
    if fault:
        return fault
    if meanwhile > SLOWER * before + MORE:
        return f"a request took {meanwhile:.3f} s while the receiver did not take messages, and {before:.3f} before"
    return world.fault_of_messages()


def _wait_for_try(world: World, mode: str) -> str | None:
    """Let the receiver answer so, and wait until it has got a message. Return what is wrong."""
    world.receiver.answer(mode)
    until = time.monotonic() + TRIED_IN
    while not world.receiver.is_tried(mode):
        if time.monotonic() > until:
            return f"no message was sent in {TRIED_IN:.0f} s"
        time.sleep(0.1)
    return None


def _seconds_of_a_request(world: World) -> float:
    """Return the median time of a request that records something."""
    body = {"workflow": world.workflow, "trigger_type": "manual", "metadata": {"allow_concurrent": True}}
    calls, times = world.calls(), list[float]()
    for _each in range(REQUESTS):
        began = time.monotonic()
        calls.attempt("executions/", body, str(uuid.uuid4()))
        times.append(time.monotonic() - began)
    return statistics.median(times)


RECEIVERS = [
    Kind("webhook receiver hangs", hang),
    Kind("webhook receiver answers 500", answer_500),
    Kind("kill -9 of the webhook receiver", kill_receiver),
]
