"""The folder in which a cluster is made, and the one in which its socket is."""

import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_postgres.cluster import Cluster
from local_postgres.exceptions import EmbeddedServerError
from local_postgres.socket_path import SOCKET_NAME, socket_dir
from pastetrader.tests.conftest import User, connect, postmaster, start
from pastetrader.tests.prepared_folder import kill_all


def test_processes_that_arrive_at_once_make_one_cluster_and_start_one_server(
    data_dir: Path, use: Callable[..., User]
) -> None:
    users = [use() for _ in range(4)]
    for user in users:
        user.arrive()
    connect(data_dir).close()
    for user in users:
        user.leave()
    assert postmaster(data_dir) is None


def test_half_an_initdb_is_thrown_away_and_a_path_with_spaces_commas_and_quotes_works(data_dir: Path) -> None:
    """Both in one test, because making a cluster takes seconds."""
    odd = data_dir.parent / "a, b's" / "postgres"
    half = odd.with_name(".postgres-draft-killed")
    (half / "base").mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    cluster = Cluster(odd, durable=False)
    start(cluster)
    assert not half.exists()
    connect(odd).close()
    cluster.stop()
    shutil.rmtree(socket_dir(odd))


def test_a_folder_of_something_else_is_left_alone(data_dir: Path, cluster: Cluster) -> None:
    data_dir.mkdir()
    (data_dir / "diary.txt").write_text("dear diary")
    with pytest.raises(EmbeddedServerError, match="neither empty nor a PostgreSQL cluster"):
        cluster.start()


def test_a_cluster_of_another_version_is_refused_with_advice(data_dir: Path, cluster: Cluster) -> None:
    data_dir.mkdir()
    (data_dir / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServerError, match=r"made by PostgreSQL 17, .* Dump it"):
        cluster.start()


@pytest.fixture
def long_dir() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="pastetrader-server-")).resolve()
    folder = home / ("x" * 100) / "postgres"
    folder.parent.mkdir()
    yield folder
    kill_all(home)
    shutil.rmtree(home)
    shutil.rmtree(socket_dir(folder), ignore_errors=True)


def test_a_path_too_long_for_a_socket_listens_in_a_short_closed_folder(long_dir: Path) -> None:
    cluster = Cluster(long_dir, durable=False)
    start(cluster)
    assert len(bytes(socket_dir(long_dir) / SOCKET_NAME)) < 100
    assert socket_dir(long_dir).stat().st_mode & 0o777 == 0o700
    connect(long_dir).close()
    cluster.stop()


@pytest.fixture
def made_before(long_dir: Path) -> None:
    """Make a folder with only the files that a start checks: it is refused before anything else is read."""
    long_dir.mkdir()
    (long_dir / "PG_VERSION").write_text("18\n")


@pytest.mark.usefixtures("made_before")
def test_a_socket_folder_that_a_stranger_made_is_refused(long_dir: Path) -> None:
    socket_dir(long_dir).mkdir(mode=0o777)
    socket_dir(long_dir).chmod(0o777)
    with pytest.raises(EmbeddedServerError, match="not a folder that only we may enter"):
        Cluster(long_dir, durable=False).start()


@pytest.mark.usefixtures("made_before")
def test_a_server_that_a_stranger_has_put_there_is_not_spoken_to(long_dir: Path) -> None:
    folder = socket_dir(long_dir)
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(bytes(folder / SOCKET_NAME))
        stranger.listen()
        stranger.setblocking(False)
        with pytest.raises(EmbeddedServerError, match="not a folder that only we may enter"):
            Cluster(long_dir, durable=False).start()
        with pytest.raises(BlockingIOError):
            stranger.accept()
