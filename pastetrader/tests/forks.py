"""Work in a forked child of the test's process."""

import os
import traceback
from collections.abc import Callable

RAISED = 255


def fork(work: Callable[[], int | None]) -> int:
    """Do the work in a child, and return its pid. The child ends with the number that the work returns, or with
    RAISED: an exception that left it would run the rest of the suite twice."""
    if child := os.fork():
        return child
    code = RAISED
    try:
        code = work() or 0
    except BaseException:  # noqa: BLE001  # of any kind: it must not leave the child
        traceback.print_exc()
    finally:
        os._exit(code)


def exit_code(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
