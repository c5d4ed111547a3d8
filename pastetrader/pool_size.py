"""Number of processes of `manage.py serve`, and of the connections to the database that each of them may open."""

from django.conf import settings

OTHERS = 20  # connections that are left to others, or a fifth of all where that is less
LEAST = 3  # connections in a pool: a process with fewer is not worth its memory


def fit(workers: int, pool: int, allowed: int) -> tuple[int, int]:
    """Return how many processes there may be, and the size of the pool of each. Each needs one connection more, to
    listen for news. `workers` and `pool` are what was configured."""
    ours = allowed - min(OTHERS, allowed // 5)
    workers = max(1, min(workers, ours // (min(pool, LEAST) + 1)))
    return workers, max(1, min(pool, ours // workers - 1))


def limit_pools(workers: int, allowed: int) -> tuple[int, str]:
    """Set the size of the pools. Return the number of processes, and a sentence where either is less than configured,
    because the database allows too few connections."""
    pool = settings.POOL
    fitting, size = fit(workers, pool["max_size"], allowed)
    if (fitting, size) == (workers, pool["max_size"]):
        return workers, ""
    pool.update(max_size=size, min_size=min(pool["min_size"], size))
    settings.REPLICA_POOL.update(max_size=size)
    return fitting, f"The database allows {allowed} connections: {_processes(workers, fitting)} opens {size} at most."


def _processes(workers: int, fitting: int) -> str:
    if fitting < workers:
        return f"{fitting} of {workers} processes start, each"
    return f"each of {workers} processes" if workers > 1 else "the server"
