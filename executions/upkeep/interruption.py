"""The KeyboardInterrupt by which a signal ends the process of upkeep (pastetrader/upkeep_process.py)."""


def was_interrupted(error: BaseException | None) -> bool:
    """Return whether the error took the place of a KeyboardInterrupt: the statement of a `finally` failed on the
    connection whose statement it had cancelled."""
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False
