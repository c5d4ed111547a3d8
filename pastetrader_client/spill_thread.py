"""The thread that moves facts to files while memory fills up, because the sending thread may be waiting for an
answer."""

import logging
import threading
import time
from collections.abc import Callable

from .outbox import TICK, Outbox

THREAD = "pastetrader-client-files"

logger = logging.getLogger("pastetrader_client")


class SpillThread:
    """Calls `spill` when more than half of the memory is used, for as long as `is_wanted`."""

    def __init__(self, outbox: Outbox, spill: Callable[[], object], is_wanted: Callable[[], bool]) -> None:
        self.outbox, self.spill, self.is_wanted = outbox, spill, is_wanted
        self.thread = threading.Thread(target=self._run, name=THREAD, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while self.is_wanted():
            self.outbox.wait_until_half_full()
            try:
                self.spill()
            except Exception:  # an error of the reporter must not end the thread
                logger.exception("the reporter failed to write files; it tries again")
            time.sleep(TICK)  # pause, as the files may be full
