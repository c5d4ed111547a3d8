import time
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions.models import UpkeepRun
from executions.upkeep import runner
from executions.upkeep.runner import AnotherUpkeep, Outcome
from executions.upkeep.task import Progress, Task
from ledgerkit.db.timeouts import no_limit

WIDTH = 30
LINE_EVERY = 10.0  # seconds, where the output is no terminal


class Command(BaseCommand):
    help = _(
        "Make log partitions ahead, remove runs and log lines whose time is over, delete expired secrets and "
        "idempotency keys, and update the planner's statistics. Where `manage.py serve` does not do it, run it every "
        "half hour, such as by cron; several machines may."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help=_("print what would be done, and change nothing"))

    @no_limit()
    def handle(self, *args: object, **options: object) -> None:
        outcomes = runner.plan_all() if options["dry_run"] else runner.run_all(self._progress)
        failed = []
        try:
            for outcome in outcomes:
                self._print(outcome)
                if outcome.error:
                    failed.append(f"{outcome.task.name}: {outcome.error}")
        except AnotherUpkeep as another:
            self.stdout.write(_another(another.record))
            return
        if failed:
            count = ngettext("%(n)d task failed.", "%(n)d tasks failed.", len(failed)) % {"n": len(failed)}
            raise CommandError(" ".join([count, *failed]))

    def _print(self, outcome: Outcome) -> None:
        """Print the line of a task, and its notes."""
        if self.stdout.isatty():
            self.stdout.write("\r\x1b[K", ending="")
        size = f" ({filesizeformat(outcome.result.size)})" if outcome.result.size else ""
        what = _("failed") if outcome.error else f"{outcome.result.rows:,}{size}"
        self.stdout.write(f"{outcome.task.title}: {what}, {outcome.seconds:.1f} s")
        for note in outcome.result.notes:
            self.stdout.write(f"  {note}")

    def _progress(self, task: Task) -> Progress:
        """Return what shows the progress of a task: a bar on a terminal, else a line every ten seconds."""
        shown_at = time.monotonic()

        def show(done: int, expected: int) -> None:
            nonlocal shown_at
            part = min(1.0, done / expected) if expected else 1.0
            if self.stdout.isatty():
                bar = f"[{'#' * round(part * WIDTH):<{WIDTH}}]"
                self.stdout.write(f"\r\x1b[K{bar} {part:4.0%} {task.title}: {done:,}", ending="")
                self.stdout.flush()
            elif time.monotonic() - shown_at >= LINE_EVERY:
                shown_at = time.monotonic()
                self.stdout.write(f"{task.title}: {done:,} / {expected:,}")

        return show


def _another(record: UpkeepRun | None) -> str:
    if record is None:
        return _("Another upkeep has just started: this one does nothing.")
    since = {"moment": f"{record.started_at:%Y-%m-%d %H:%M:%S} UTC", "host": record.host}
    return _("Another upkeep is running since %(moment)s on %(host)s: this one does nothing.") % since
