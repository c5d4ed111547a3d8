"""A process that archives, deletes and restores runs until it is killed. It forks for every line that it reads, so that
the next process begins at once; `python -m executions.tests.archive.process` runs it."""

import os
import random
import sys
from itertools import batched

import django

BATCH = 20


def work() -> None:
    """Remove the ended runs as upkeep does, restore them, and begin again."""
    from executions.archive import folders, restoring  # noqa: PLC0415  # once the apps are loaded
    from executions.models import ArchiveFile, KeptRun, WorkflowExecution  # noqa: PLC0415  # once the apps are loaded

    while True:
        ended = list(WorkflowExecution.objects.finished().order_by("pk").values_list("pk", flat=True))
        random.shuffle(ended)
        for some in batched(ended[: random.randint(1, len(ended) or 1)], BATCH):
            remove(some)
        for name in ArchiveFile.objects.order_by("-name").values_list("name", flat=True):
            restoring.restore(folders.require_folder(), name)
        KeptRun.objects.all().delete()


def remove(runs: tuple[object, ...]) -> None:
    from django.db import transaction  # noqa: PLC0415  # once the apps are loaded

    from executions.archive import ensure_archived  # noqa: PLC0415  # once the apps are loaded
    from executions.models import WorkflowExecution  # noqa: PLC0415  # once the apps are loaded

    ensure_archived(runs)  # type: ignore[arg-type]  # ids, as objects
    with transaction.atomic():
        rows = WorkflowExecution.objects.filter(pk__in=runs)
        locked = list(rows.order_by("pk").select_for_update().values_list("pk", flat=True))
        ensure_archived(locked)
        rows.filter(pk__in=locked).delete()


if __name__ == "__main__":
    django.setup()
    for _line in sys.stdin:
        if (child := os.fork()) == 0:
            work()
        print(child, flush=True)  # noqa: T201  # the parent reads it
        os.waitpid(child, 0)
        print("ended", flush=True)  # noqa: T201  # the parent reads it
