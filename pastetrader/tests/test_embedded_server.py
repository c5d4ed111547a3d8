"""The embedded server is shared, stopped by the last one out, and comes back after kill -9."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg_pool import ConnectionPool

from local_postgres import processes, system_user
from local_postgres.cluster import Cluster
from local_postgres.exceptions import EmbeddedServerError
from local_postgres.ownership import OWNER
from local_postgres.server import EmbeddedConnection, EmbeddedServer, ensure, release_all
from local_postgres.socket_path import socket_dir
from pastetrader.pool_check import check_open
from pastetrader.tests.conftest import User, connect, kill, postmaster, start
from pastetrader.tests.forks import exit_code, fork
from pastetrader.tests.prepared_folder import kill_all, new_home
from pastetrader.tests.proofs import times

Use = Callable[..., User]


@pytest.fixture(scope="module")
def shared_cluster() -> Iterator[Path]:
    """A cluster for all of these tests, with the application's database in it: making one takes seconds."""
    with new_home() as home:
        cluster = Cluster(home / "postgres", durable=False)
        start(cluster)
        cluster.stop()
        yield cluster.data_dir


@pytest.fixture
def data_dir(shared_cluster: Path) -> Iterator[Path]:
    """Its folder. No server runs on it yet, and none runs on after the test."""
    yield shared_cluster
    kill_all(shared_cluster.parent)


def pid(data_dir: Path) -> int:
    found = postmaster(data_dir)
    assert found is not None
    return found.pid


def postmasters(data_dir: Path) -> list[int]:
    return [each.pid for each in processes._processes_of(data_dir) if processes.is_postmaster(each)]


def test_a_child_that_has_not_renamed_itself_yet_is_not_the_server(
    data_dir: Path, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = use().arrive()
    server = psutil.Process(pid(data_dir))
    assert server.children()
    command = server.cmdline()
    monkeypatch.setattr(psutil.Process, "cmdline", lambda _process: command)
    assert postmasters(data_dir) == [server.pid]
    user.leave()


def test_two_processes_share_a_server_and_the_last_one_out_stops_it(data_dir: Path, use: Use) -> None:
    first, second = use().arrive(), use().arrive()
    server = pid(data_dir)

    first.leave()
    assert pid(data_dir) == server
    connect(data_dir).close()

    second.leave()
    assert postmaster(data_dir) is None


def test_those_who_come_while_others_go_always_find_a_server(data_dir: Path, use: Use) -> None:
    current = use().arrive()
    for _ in range(times(3, 10)):
        newcomer = use()
        current.leave()
        current = newcomer.arrive()
        connect(data_dir).close()
    current.leave()
    assert postmaster(data_dir) is None


def test_a_killed_user_leaves_no_lease(data_dir: Path, use: Use) -> None:
    killed = use().arrive()
    server = pid(data_dir)
    killed.kill()

    heir = use().arrive()
    assert pid(data_dir) == server
    heir.leave()
    assert postmaster(data_dir) is None


def test_a_killed_server_comes_back_with_everything_committed(data_dir: Path, use: Use) -> None:
    user = use(durable=True).arrive()
    with connect(data_dir) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
    kill(psutil.Process(pid(data_dir)))
    user.kill()

    use(durable=True).arrive()
    with connect(data_dir) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (1000,)


def test_a_server_killed_with_its_user_alive_is_started_again_by_the_next_connection(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir, durable=False)
    server.ensure("pastetrader")
    before = pid(data_dir)
    kill(psutil.Process(before))

    server.ensure("pastetrader")
    assert pid(data_dir) != before
    connect(data_dir).close()
    server.leave()
    assert postmaster(data_dir) is None


def test_a_pool_starts_a_killed_server_again(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server is looked at by the pool, and not before each request."""
    monkeypatch.setattr("local_postgres.server._servers", {})
    ensure({"EMBEDDED": {"data_dir": data_dir, "durable": False}, "NAME": "pastetrader"})
    options = {"host": str(socket_dir(data_dir)), "dbname": "pastetrader", "user": OWNER}
    with ConnectionPool(kwargs=options, min_size=1, connection_class=EmbeddedConnection, check=check_open) as pool:
        with pool.connection() as connection:
            connection.execute("SELECT 1")
        leader = psutil.Process(pid(data_dir))
        backends = leader.children()
        kill(leader)
        assert psutil.wait_procs(backends, timeout=20)[1] == []  # until then the pool cannot see that they end
        with pool.connection(timeout=20) as connection:
            connection.execute("SELECT 1")
        assert pid(data_dir) != leader.pid
    release_all()


def test_children_that_outlive_a_killed_server_are_waited_for(data_dir: Path, cluster: Cluster) -> None:
    leader = start(cluster)
    connection = connect(data_dir)
    kill(leader)
    assert start(cluster).pid != leader.pid
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    cluster.stop()


def test_who_cannot_see_the_server_uses_the_one_that_answers(data_dir: Path, use: Use, namespaces: None) -> None:
    first = use().arrive()
    server = pid(data_dir)
    second = use(apart=True).arrive()
    assert postmasters(data_dir) == [server]

    second.leave()
    assert pid(data_dir) == server
    connect(data_dir).close()
    first.leave()
    assert postmaster(data_dir) is None


def test_the_last_one_out_stops_a_server_that_it_cannot_see(data_dir: Path, use: Use, namespaces: None) -> None:
    first, second = use().arrive(), use(apart=True).arrive()
    first.leave()
    connect(data_dir).close()
    second.leave()
    assert postmaster(data_dir) is None
    assert not (data_dir / "postmaster.pid").exists()


def test_a_server_whose_pid_file_has_another_namespaces_number_is_stopped(
    data_dir: Path, use: Use, namespaces: None
) -> None:
    use(apart=True).arrive()
    assert (data_dir / "postmaster.pid").read_text().splitlines()[0] != str(pid(data_dir))
    Cluster(data_dir, durable=False).stop()
    assert postmaster(data_dir) is None


def test_a_server_that_cannot_be_seen_and_is_killed_is_started_again(
    data_dir: Path, use: Use, namespaces: None
) -> None:
    use().arrive()
    kill(psutil.Process(pid(data_dir)))
    heir = use(apart=True).arrive()
    connect(data_dir).close()
    heir.leave()
    assert postmaster(data_dir) is None


def test_nobody_starts_beside_orphans_that_cannot_be_seen(data_dir: Path, use: Use, namespaces: None) -> None:
    use().arrive()
    leader = psutil.Process(pid(data_dir))
    orphan = leader.children()[0]
    orphan.suspend()
    kill(leader)
    refused = use(apart=True, patience=0.5).process.communicate(timeout=60)[1]
    assert f"A process that cannot be seen from here still works on {data_dir}" in refused
    assert postmasters(data_dir) == []

    orphan.kill()
    use(apart=True).arrive()
    connect(data_dir).close()


def test_a_server_that_answers_is_used_though_no_process_is_found(
    data_dir: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = start(cluster)
    monkeypatch.setattr(processes, "_processes_of", lambda _: iter(()))
    server = EmbeddedServer(data_dir, durable=False)
    server.ensure("pastetrader")
    assert processes.is_alive(leader)
    server.ensure("pastetrader")
    server.leave()
    assert not processes.is_alive(leader)


def test_a_server_is_found_by_any_spelling_of_its_folder(data_dir: Path, cluster: Cluster) -> None:
    leader = start(cluster)
    link = data_dir.with_name("link")
    link.symlink_to(data_dir.parent)
    assert processes.find_postmaster(link / data_dir.name) == leader
    cluster.stop()


@pytest.mark.parametrize("text", ["{self}\n{folder}\n1\n5432\n", "", "12", "no number"])
def test_what_a_stale_pid_file_says_stops_nobody(data_dir: Path, cluster: Cluster, text: str) -> None:
    # The process id of someone alive who is no PostgreSQL: given again after the machine was restarted.
    file = data_dir / "postmaster.pid"
    file.write_text(text.format(self=os.getppid(), folder=data_dir))
    system_user.give_to_system_user(file)

    start(cluster)
    connect(data_dir).close()
    cluster.stop()


def test_a_failed_start_shows_the_end_of_the_servers_log(data_dir: Path, cluster: Cluster) -> None:
    setting = data_dir / "postgresql.auto.conf"
    before = setting.read_text()
    setting.write_text("no_such_setting = 1\n")
    with pytest.raises(EmbeddedServerError, match='unrecognized configuration parameter "no_such_setting"'):
        cluster.start()
    setting.write_text(before)


def test_a_forked_child_does_not_end_the_lease_of_its_parent(data_dir: Path, use: Use) -> None:
    server = EmbeddedServer(data_dir, durable=False)
    server.ensure("pastetrader")
    assert exit_code(fork(server.leave)) == 0

    other = use().arrive()
    other.leave()  # not the last one out
    connect(data_dir).close()
    server.leave()
    assert postmaster(data_dir) is None


def test_only_its_owner_may_read_the_data(data_dir: Path, cluster: Cluster) -> None:
    start(cluster)
    assert data_dir.stat().st_mode & 0o777 == 0o700
    assert data_dir.stat().st_uid == system_user.uid()
    cluster.stop()


MADE_BY_A_SUPERUSER = """
CREATE EXTENSION pg_trgm;
CREATE TABLE lines (id serial, moment timestamptz, told text) PARTITION BY RANGE (moment);
CREATE TABLE lines_1 PARTITION OF lines DEFAULT;
CREATE INDEX ON lines USING gin (told gin_trgm_ops);
CREATE SEQUENCE counted;
CREATE VIEW told AS SELECT told FROM lines;
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER tell AFTER INSERT ON lines FOR EACH ROW EXECUTE FUNCTION tell();
"""
OWNERS = """
    SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION SELECT proowner::regrole::text FROM pg_proc WHERE proname = 'tell'
    UNION SELECT datdba::regrole::text FROM pg_database WHERE datname = 'of_old'
"""


def test_the_application_is_no_superuser_and_owns_its_database_of_old_as_well(data_dir: Path, cluster: Cluster) -> None:
    cluster.start()
    with psycopg.connect(host=str(socket_dir(data_dir)), user="postgres", dbname="postgres", autocommit=True) as old:
        old.execute("CREATE DATABASE of_old")
    with connect(data_dir, "of_old") as old:
        old.execute(MADE_BY_A_SUPERUSER)
        assert old.execute(OWNERS).fetchall() == [("postgres",)]
    for _ in range(2):  # each start asks
        cluster.create_database("of_old")
    with psycopg.connect(host=str(socket_dir(data_dir)), user=OWNER, dbname="of_old", autocommit=True) as ours:
        assert ours.execute(OWNERS).fetchall() == [(OWNER,)]
        rights = "SELECT rolsuper, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = user"
        assert ours.execute(rights).fetchall() == [(False, False, False)]
        ours.execute("ALTER TABLE lines ADD level text; DROP TRIGGER tell ON lines; INSERT INTO lines DEFAULT VALUES")
        ours.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            ours.execute("COPY (SELECT) TO PROGRAM 'true'")
    cluster.stop()
