"""Facts that wait in memory and in files while the ledger is away."""

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pastetrader_client import Client
from pastetrader_client.encoding import Fact, fact_of
from pastetrader_client.ids import uuid7
from pastetrader_client.spool import Spool, SpoolFile
from pastetrader_client.tests.spooled_files import spooled
from pastetrader_client.tests.stub import stub_ledger
from pastetrader_client.tests.waiting import close, wait_until

type Make = Callable[..., Client]
ROOT = Path(__file__).resolve().parents[2]
LINES = [f"line {number}" for number in range(300)]
PROGRAM = """
from pastetrader_client import Client
Client('http://127.0.0.1:1', 'token', spool='files', exit_seconds=0).run('w').start()
"""


def test_what_has_no_room_in_memory_waits_in_a_file_of_the_user_alone(
    client_of: Make, away: str, tmp_path: Path
) -> None:
    client = client_of(away, max_memory=70_000)
    run = client.attach(uuid7())
    for message in LINES:
        run.info(message)
        time.sleep(0.001)
    wait_until(lambda: spooled(tmp_path))
    (path,) = spooled(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        assert client.flush(10)
        assert (stub.messages, stub.twice()) == (LINES, set())
    assert not spooled(tmp_path)


@pytest.mark.parametrize("waits", ["facts", "facts of a file", "a function that is called later"])
def test_lines_move_to_a_file_while_the_thread_waits_for_an_answer(
    client_of: Make, away: str, tmp_path: Path, waits: str, caplog: pytest.LogCaptureFixture
) -> None:
    if waits == "facts of a file":
        earlier = client_of(away)
        earlier.attach(uuid7()).info("earlier")
        close(earlier)
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        go_on, is_waiting = threading.Event(), threading.Event()
        stub.reply = lambda _size: (is_waiting.set(), go_on.wait(60), (200, {}))[2]  # type: ignore[func-returns-value]  # None
        client = client_of(stub.url, max_memory=60_000)
        run = client.attach(uuid7())
        if waits == "a function that is called later":
            client.call_later(0, lambda _http: (is_waiting.set(), go_on.wait(60)))  # type: ignore[func-returns-value]  # None
        elif waits == "facts":
            run.info("first")
        assert is_waiting.wait(60)
        for message in LINES:
            wait_until(lambda: client._sender.outbox.size < 50_000)
            run.info(message)
        go_on.set()
        assert client.flush()
        before = {"facts": ["first"], "facts of a file": ["earlier"]}.get(waits, [])
        assert (stub.messages, stub.twice()) == (before + LINES, set())
    assert "dropped" not in caplog.text
    assert not spooled(tmp_path)


def test_facts_that_have_no_room_in_files_wait_in_memory(client_of: Make, away: str) -> None:
    client = client_of(away, max_memory=100_000, max_spool=20_000)
    run = client.attach(uuid7())
    for message in LINES[:20]:
        run.info(message)
    wait_until(lambda: client._sender.pending)
    for message in LINES[20:250]:
        run.info(message)
    wait_until(lambda: client._sender.spool)
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        assert client.flush()
        assert (stub.messages, stub.twice()) == (LINES[:250], set())


def test_facts_of_a_closed_client_are_sent_by_the_next_of_its_name(client_of: Make, away: str, tmp_path: Path) -> None:
    first = client_of(away)
    first.attach(uuid7()).info("kept")
    close(first, 0.1)
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        other = client_of(away, name="another")
        other.attach(uuid7()).info("other")
        assert other.flush()
        assert stub.messages == ["other"]
        assert client_of(away).flush()  # which reports nothing itself
        assert stub.messages == ["other", "kept"]
    assert not spooled(tmp_path)


def test_packages_that_are_run_by_their_names_do_not_send_facts_of_each_other(tmp_path: Path) -> None:
    for name in ("load", "rank"):
        package = tmp_path / name
        package.mkdir()
        (package / "__main__.py").write_text(PROGRAM)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for name in ("load", "rank"):
        subprocess.run([sys.executable, "-m", name], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert {path.parent.name.partition("-")[0] for path in spooled(tmp_path)} == {"load", "rank"}


@pytest.mark.parametrize("options", [["-m", "load"], ["-Bmload"], ["-m", "load.__main__"], ["-m", "load", "-m", "x"]])
def test_a_package_that_makes_its_client_while_it_is_imported_has_its_own_name(
    tmp_path: Path, options: list[str]
) -> None:
    package = tmp_path / "load"
    package.mkdir()
    (package / "__init__.py").write_text(PROGRAM)
    (package / "__main__.py").touch()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, *options], cwd=tmp_path, env=environment, check=True, capture_output=True)
    assert [path.parent.name.partition("-")[0] for path in spooled(tmp_path)] == ["load"]


def test_the_file_of_a_living_process_is_left_to_it(client_of: Make, away: str, tmp_path: Path) -> None:
    first = client_of(away, max_memory=2_000)
    run = first.attach(uuid7())
    for number in range(50):
        run.info("x" * 100 + str(number))
        time.sleep(0.01)
    wait_until(lambda: spooled(tmp_path))
    second = Spool(spooled(tmp_path)[0].parent, 1_000_000)
    second.take_over()
    assert not second


def test_dropped_facts_are_counted_and_reported_as_a_line_of_their_run(client_of: Make, away: str) -> None:
    client = client_of(away, max_memory=20_000, spool=False)
    run = client.run(workflow="w")
    run.start()
    for message in LINES:
        run.info(message)
    run.complete()
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        assert client.flush(10)
        wait_until(lambda: len(stub.messages) > 1 and "dropped" in stub.messages[-1])
        dropped = stub.facts[-1]["data"]["dropped"]
        assert dropped == len(LINES) - (len(stub.messages) - 1) > 100
        assert stub.messages[-1].startswith(f"{dropped} facts of this run were dropped by the reporter")
        assert "execution.complete" in stub.kinds


@pytest.mark.parametrize("max_spool", [1_000_000, 60_000])
def test_facts_that_an_ended_process_has_dropped_are_reported_by_the_next(
    client_of: Make, away: str, max_spool: int
) -> None:
    first = client_of(away, max_memory=20_000, max_spool=max_spool)
    run = first.attach(uuid7())
    for _times in range(10):
        for message in LINES:
            run.info(message)
    close(first, 0.1)
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        assert client_of(away).flush()
        *lines, last = stub.messages
        assert last.startswith(f"{10 * len(LINES) - len(lines)} facts of this run were dropped by the reporter")


def test_of_many_runs_as_many_tell_what_was_dropped_as_have_room_and_the_rest_is_in_the_log(
    client_of: Make, away: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = client_of(away, max_memory=20_000, max_spool=3_000)
    runs = [first.attach(uuid7()) for _run in range(20)]
    for _times in range(100):
        for run in runs:
            run.info("x" * 100)
    close(first, 0.1)
    with stub_ledger(int(away.rpartition(":")[2])) as stub:
        assert client_of(away).flush()
        told = [message for message in stub.messages if "dropped" in message]
    assert 0 < len(told) < len(runs)
    assert f"the count is missing for {len(runs) - len(told)} runs" in caplog.text


def test_a_directory_that_cannot_be_written_is_said_once(
    client_of: Make, away: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tmp_path.joinpath("file").touch()
    client = client_of(away, spool=tmp_path / "file", max_memory=1_000)
    run = client.attach(uuid7())
    for _times in range(50):
        run.info("x" * 200)
        time.sleep(0.005)
    client.close(0)
    assert caplog.text.count("cannot be kept in a file") == 1
    assert "facts are lost" in caplog.text


def facts(number: int, size: int = 10) -> list[Fact]:
    run = uuid7()
    of_run = {"workflow_execution": run, "level": "info", "at": "2026-11-29T06:00:00.000000Z"}
    return [
        fact_of(run, "log", "", {"id": uuid7(), **of_run, "message": f"{index:0{size}}"}) for index in range(number)
    ]


def test_a_line_that_was_cut_off_is_left_out_and_the_rest_is_read(tmp_path: Path) -> None:
    file = SpoolFile.new(tmp_path, 1)
    wanted = facts(20)
    file.write(wanted)
    file.close()
    with file.path.open("ab") as raw:
        raw.write(b'not JSON\n{"kind":"log","id":"')
    spool = Spool(tmp_path, 1_000_000)
    spool.take_over()
    assert spool.read(5, 10_000) == wanted[:5]
    assert spool.read(5, 10_000) == wanted[:5]
    spool.advance()
    assert spool.read(100, 10_000_000) == wanted[5:]
    spool.advance()
    assert (spool.read(1, 1), bool(spool), spooled(tmp_path)) == ([], False, [])


def of_run(run: str, kind: str, at: str) -> Fact:
    """Return a fact of a run, or a line of it."""
    fields = {"workflow_execution": run, "level": "info", "message": at} if kind == "log" else {"id": run}
    return fact_of(run, kind, "", {**fields, "at": f"2026-11-29T06:{at}.000000Z"})


def test_files_are_sent_in_the_order_of_their_first_facts(tmp_path: Path) -> None:
    """A parent writes the creation of a run after its forked child has written a line of it."""
    run = uuid7()
    parent, child, other = (Spool(tmp_path, 1_000_000) for _process in range(3))
    wanted = [of_run(run, "execution.create", "00:00"), of_run(run, "log", "00:01"), of_run(run, "log", "00:02")]
    for spool, fact in zip((child, other, parent), (wanted[1], wanted[2], wanted[0]), strict=True):
        spool.write([fact])
    for spool in (parent, child, other):
        spool.leave()
    assert read_all(tmp_path) == wanted


def test_files_of_one_process_are_sent_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    """An engine may name any time."""
    spool, run = Spool(tmp_path, 1_000_000), uuid7()
    wanted = [of_run(run, "log", "00:05"), of_run(run, "log", "00:03"), of_run(run, "log", "soon")]
    for fact in wanted:
        spool.write([fact])
        spool.own = None  # as after it was sent and removed
    spool.leave()
    assert read_all(tmp_path) == wanted


def test_files_of_an_earlier_version_are_sent_in_the_order_in_which_they_were_written(tmp_path: Path) -> None:
    run = uuid7()
    wanted = [of_run(run, "execution.create", "00:00"), of_run(run, "log", "00:01")]
    for fact, name, seconds in zip(wanted, ("3000-a", "20000-b"), (1_000, 2_000), strict=True):
        path = tmp_path / f"{name}.facts"
        path.write_bytes(fact.body + b"\n")
        os.utime(path, (seconds, seconds))
    spool = Spool(tmp_path, 1_000_000)
    spool.write([later := of_run(run, "log", "00:02")])
    spool.leave()
    assert read_all(tmp_path) == [*wanted, later]


def read_all(directory: Path) -> list[Fact]:
    """Return the facts that the next process sends, in its order."""
    spool, found = Spool(directory, 1_000_000), list[Fact]()
    spool.take_over()
    while facts := spool.read(100, 1_000_000):
        found += facts
        spool.advance()
    return found


def test_a_spool_is_never_larger_than_its_limit_and_follows_no_link(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 2_500)
    assert [spool.write(facts(5)) for _times in "abc"] == [True, True, False]
    assert spool.write(facts(2), is_last=True)
    assert not spool.write(facts(5), is_last=True)
    outside = tmp_path / "outside"
    outside.write_text("theirs\n")
    (tmp_path / "1-link.facts").symlink_to(outside)
    other = Spool(tmp_path, 3_000)
    other.take_over()
    assert (bool(other), outside.read_text()) == (False, "theirs\n")
    spool.leave()


def test_files_have_no_more_than_the_limit_while_a_rest_always_waits(tmp_path: Path) -> None:
    """A ledger that comes and goes never empties them."""
    spool, written, read = Spool(tmp_path, 20_000), list[Fact](), list[Fact]()
    for _times in range(100):
        new = facts(10)
        assert spool.write(new)
        written += new
        if len(written) > 20:
            read += spool.read(10, 1_000_000)
            spool.advance()
        assert sum(path.stat().st_size for path in spooled(tmp_path)) <= 20_000
    assert read == written[: len(read)]
    assert len(read) > 900
    spool.leave()
    assert read_all(tmp_path)[-20:] == written[-20:]


def test_a_disk_that_is_full_leaves_whole_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SpoolFile.new(tmp_path, 1)
    file.write(facts(1))
    before = file.path.read_bytes()

    class Full:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def write(self, data: Any) -> int:
            self.inner.write(bytes(data)[:5])
            raise OSError(28, "No space left on device")

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    with monkeypatch.context() as patch:
        patch.setattr(file, "file", Full(file.file))
        with pytest.raises(OSError, match="No space"):
            file.write(facts(1))
    file.close()
    assert file.path.read_bytes() == before
