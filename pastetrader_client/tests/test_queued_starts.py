"""The wait for a turn, and its end, with a transport of the test instead of a ledger."""

import asyncio
import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from pastetrader_client import Answer, Client, Refusal, TurnRefused, TurnTimedOut, Unavailable, queued_starts
from pastetrader_client.transport import Failed


class OneAtATime:
    """A transport of a ledger that lets one run at a time start, in any order. `hold` delays each answer of
    a start; with `missing` it knows no run, and `busy` is why it takes none."""

    http = None

    def __init__(self) -> None:
        self.running = ""
        self.kinds: list[str] = []
        self.asked, self.hold = threading.Event(), threading.Event()
        self.hold.set()
        self.missing = False
        self.busy: Unavailable | None = None
        self.refused_calls = 0
        self.fails_at = ""  # the run at whose start it fails

    def send(self, bodies: Sequence[bytes]) -> Answer:
        facts = [json.loads(body) for body in bodies]
        if any(fact["kind"] == "execution.start" for fact in facts):
            self.asked.set()
            assert self.hold.wait(60)
            if any(fact["id"] == self.fails_at for fact in facts):
                raise Failed("answer 500")
            if self.busy is not None:
                self.refused_calls += 1
                raise self.busy
        refusals = [refusal for index, fact in enumerate(facts) if (refusal := self.take(index, fact)) is not None]
        return Answer(refusals)

    def take(self, index: int, fact: dict[str, Any]) -> Refusal | None:
        kind, run = fact["kind"], fact["id"]
        if self.missing and kind != "execution.create":
            return Refusal(index, "not_found", "there is no such run")
        if kind == "execution.start" and self.running not in {"", run}:
            return Refusal(index, "queued", "another one is running", "pending")
        if kind == "execution.start":
            self.running = run
        elif kind.startswith("execution.") and self.running == run and kind != "execution.heartbeat":
            self.running = ""
        self.kinds.append(kind)
        return None

    def define(self, workflow: str | None, run: str, nodes: Sequence[Mapping[str, object]]) -> bool:
        return True

    def read_run(self, run: str) -> Mapping[str, Any]:
        raise LookupError(run)

    def close(self) -> None: ...

    def forget_connections(self) -> None: ...


@pytest.fixture
def one_at_a_time() -> OneAtATime:
    return OneAtATime()


@pytest.fixture
def engine_of(one_at_a_time: OneAtATime) -> Iterator[Client]:
    with Client(transport=one_at_a_time, spool=False, sigterm=False, lease_seconds=1) as client:
        yield client


@pytest.mark.slow
def test_coroutines_that_wait_leave_the_threads_of_the_loop_to_others(
    engine_of: Client, one_at_a_time: OneAtATime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_starts, "EVERY", 0.01)
    done: list[int] = []

    @engine_of.workflow("w", queue=True)
    async def queued(number: int) -> None:
        done.append(await asyncio.to_thread(lambda: number))

    async def main() -> None:
        await asyncio.gather(*(queued(number) for number in range(40)))

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    thread.join(60)
    assert sorted(done) == list(range(40))


def test_a_coroutine_that_is_cancelled_asks_no_more_for_its_start(
    engine_of: Client, one_at_a_time: OneAtATime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_starts, "EVERY", 0.01)
    one_at_a_time.running = "another"

    @engine_of.workflow("w", queue=True)
    async def queued() -> None:
        pytest.fail("it was not its turn")

    async def main() -> None:
        task = asyncio.create_task(queued())
        await asyncio.to_thread(one_at_a_time.asked.wait, 60)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        one_at_a_time.running = ""
        await asyncio.sleep(0.5)

    asyncio.run(main())
    assert engine_of.flush(60)
    assert "execution.cancel" in one_at_a_time.kinds
    assert "execution.start" not in one_at_a_time.kinds


def test_the_lease_of_a_start_that_succeeds_after_the_engine_gave_up_is_not_held(
    engine_of: Client, one_at_a_time: OneAtATime
) -> None:
    one_at_a_time.hold.clear()
    with pytest.raises(TurnTimedOut), engine_of.run(workflow="w", queue=True, queue_seconds=0.2):
        pytest.fail("it was not its turn")
    one_at_a_time.hold.set()
    assert engine_of.flush(60)
    time.sleep(0.6)  # a heartbeat is due after a third of a second
    assert one_at_a_time.kinds[-2:] == ["execution.start", "execution.cancel"]


def test_a_run_that_is_deleted_while_it_waits_is_refused(
    engine_of: Client, one_at_a_time: OneAtATime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_starts, "EVERY", 0.01)
    one_at_a_time.missing = True
    with pytest.raises(TurnRefused, match="not_found"), engine_of.run(workflow="w", queue=True, queue_seconds=20):
        pytest.fail("it was not its turn")
    assert one_at_a_time.kinds[0] == "execution.create"


@pytest.mark.slow
@pytest.mark.parametrize("retry_after", [None, 30.0])
def test_a_ledger_that_is_busy_is_asked_less_often(
    engine_of: Client, one_at_a_time: OneAtATime, monkeypatch: pytest.MonkeyPatch, retry_after: float | None
) -> None:
    monkeypatch.setattr(queued_starts, "EVERY", 0.01)
    run = engine_of.run(workflow="w", queue=True, queue_seconds=1.5)
    run.create()
    assert engine_of.flush(60)
    one_at_a_time.busy = Unavailable("busy", retry_after)
    with pytest.raises(TurnTimedOut), run:
        pytest.fail("it was not its turn")
    assert one_at_a_time.refused_calls in ({1} if retry_after else set(range(4, 12)))


def test_a_start_at_which_the_ledger_fails_holds_up_no_other(
    engine_of: Client, one_at_a_time: OneAtATime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_starts, "EVERY", 0.01)
    bad = engine_of.run(workflow="w", queue=True)
    bad.create()
    one_at_a_time.fails_at = bad.id

    def wait_in_vain() -> None:
        with suppress(TurnRefused), bad:
            pytest.fail("it was not its turn")

    threading.Thread(target=wait_in_vain, daemon=True).start()
    assert one_at_a_time.asked.wait(60)
    with engine_of.run(workflow="w", queue=True, queue_seconds=30) as good:
        assert one_at_a_time.running == good.id


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Let SIGINT raise KeyboardInterrupt, which a process that a shell has started in the background ignores."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_after_an_interrupt_the_lease_of_a_start_that_succeeds_is_not_held(
    engine_of: Client, one_at_a_time: OneAtATime, interruptible: None
) -> None:
    one_at_a_time.hold.clear()

    def interrupt() -> None:
        assert one_at_a_time.asked.wait(60)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt), engine_of.run(workflow="w", queue=True, queue_seconds=60):
        pytest.fail("it was not its turn")
    one_at_a_time.hold.set()
    assert engine_of.flush(60)
    time.sleep(0.6)
    assert one_at_a_time.kinds[-2:] == ["execution.start", "execution.cancel"]
