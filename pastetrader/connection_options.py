"""Options of a connection to PostgreSQL that notice the loss of the other side.

Of connections by TCP: where packets are lost, as those to a host that is gone, nothing says so. By default the kernel
tries for fifteen minutes, or waits for two hours. PostgreSQL waits as long for an application whose host is gone, and
keeps its locks meanwhile, such as the one of upkeep.
"""

from collections.abc import Mapping

# In seconds and milliseconds.
OF_CLIENT = {"keepalives_idle": 20, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 20_000}
OF_SERVER = {
    "tcp_keepalives_idle": 20,
    "tcp_keepalives_interval": 5,
    "tcp_keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}


def connection_options(chosen: Mapping[str, object], statement_timeout: int) -> dict[str, object]:
    """Return options of libpq. Those that are chosen win, also among the settings of the session in `options`, where
    the last one counts. An empty `options` is for a pooler that refuses them all."""
    if chosen.get("options") == "":
        return {**OF_CLIENT, **chosen}
    session = {"statement_timeout": statement_timeout} | OF_SERVER
    ours = [f"-c {name}={value}" for name, value in session.items()]
    return {**OF_CLIENT, **chosen, "options": " ".join([*ours, str(chosen.get("options", ""))]).strip()}
