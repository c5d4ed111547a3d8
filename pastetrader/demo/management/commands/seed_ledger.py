"""Fill an empty ledger with generated rows, for measurements."""

import logging
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from executions import ingest, partitions
from executions.models import WorkflowExecution
from ledgerkit.command_arguments import utf8
from ledgerkit.db.timeouts import no_limit
from pastetrader.demo.seed_definitions import MARK
from pastetrader.demo.seed_plan import DEFINITION_FIELDS, FIELDS, Batch, Plan
from pastetrader.demo.seeding import Ledger
from workflows.models import Workflow

WIDTH = 30


def count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ArgumentTypeError(f"expected a whole number, found {text!r}")
    return int(text)


def at_least_one(text: str) -> int:
    if (number := count(text)) < 1:
        raise ArgumentTypeError("expected at least 1")
    return number


def moment(text: str) -> datetime:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError as error:
        raise ArgumentTypeError(f"expected a date such as 2026-09-30 or 2026-09-30T12:00Z, found {text!r}") from error
    parsed = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    if not 1971 <= parsed.year <= 9000:  # leaves a margin for the period and for partitions
        raise ArgumentTypeError("expected a year from 1971 to 9000")
    return parsed


class Command(BaseCommand):
    help = (
        "Fill an empty ledger with generated rows of the 60 days before --until. The same seed and --until give the "
        "same rows, ids included. Refuses a ledger that it did not generate."
    )
    tenths_shown = 0  # of the progress, where the output is no terminal

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--runs", type=at_least_one, default=Plan.runs)
        parser.add_argument("--workflows", type=at_least_one, default=Plan.workflows)
        parser.add_argument("--nodes", type=count, default=Plan.nodes, help="node executions")
        parser.add_argument("--lines", type=count, default=Plan.lines, help="log lines")
        parser.add_argument("--seed", type=count, default=Plan.seed)
        parser.add_argument("--until", type=moment, help="end of the period; default: now")
        parser.add_argument(
            "--owner", type=utf8, metavar="NAME", help="owner of the workflows; default: the first superuser"
        )
        again = parser.add_mutually_exclusive_group()
        again.add_argument("--reset", action="store_true", help="first delete the rows of an earlier seed_ledger")
        again.add_argument(
            "--resume", action="store_true", help="go on with an interrupted seed_ledger, with its sizes and --until"
        )

    @no_limit()
    def handle(self, *args: object, reset: bool, resume: bool, owner: str | None, **options: Any) -> None:
        sizes = {name: options[name] for name in ("runs", "workflows", "nodes", "lines", "seed")}
        plan = interrupted_plan() if resume else Plan(until=options["until"] or datetime.now(UTC), **sizes)
        user = _user(owner)
        if not resume:
            check_ledger_is_generated(reset=reset)
        self._make_partitions(plan)
        began, ledger = time.perf_counter(), Ledger(plan)
        definitions = ledger.definitions.rows(user)  # also on resumption: the runs' random numbers come after theirs
        if not resume:
            self._write_definitions(definitions, reset=reset)
        rows = self._write(ledger, resume=resume)
        self._print(f"\n{rows:,} rows in {(took := time.perf_counter() - began):.0f} s: {rows / took:,.0f} rows/s")
        ingest.vacuum([*DEFINITION_FIELDS, *FIELDS])
        self._print(f"Vacuumed and analyzed in {time.perf_counter() - began - took:.0f} s.")
        self._print(
            f"The same ledger again: manage.py seed_ledger --reset --seed {plan.seed} --until {plan.until.isoformat()}"
        )

    def _make_partitions(self, plan: Plan) -> None:
        """Create the partitions before the transaction that writes all rows: DDL would wait for other writers."""
        length = plan.until - plan.since
        moments = [plan.since + timedelta(days=day) for day in range(length.days + 1)]
        before = set(partitions.existing())
        with _without_logging(partitions.logger):
            partitions.ensure(_id_at(each) for each in moments)
        if made := len(set(partitions.existing()) - before):
            self._print(f"Made {made} partitions for log lines since {plan.since:%Y-%m-%d}.")

    @transaction.atomic
    def _write_definitions(self, definitions: Batch, *, reset: bool) -> None:
        if reset:
            ingest.empty(apps.get_app_config("executions").get_models())
            check_ledger_is_generated(reset=True)  # again, now under the lock of the truncated tables
            Workflow.objects.all().delete()
        for model, rows in definitions.items():
            ingest.copy(model, DEFINITION_FIELDS[model], rows)

    def _write(self, ledger: Ledger, *, resume: bool) -> int:
        """Write the batches, each in a transaction; on resumption, those that are missing. Return the rows written."""
        plan, done, written, began = ledger.plan, 0, 0, time.perf_counter()
        for batch in ledger.batches():
            rows = sum(map(len, batch.values()))
            if not (resume and _is_stored(batch)):
                _store(batch)
                written += rows
            done += rows
            self._show_progress(done, plan.runs + plan.nodes + plan.lines, written / (time.perf_counter() - began))
        return written

    def _show_progress(self, done: int, expected: int, speed: float) -> None:
        part = min(1.0, done / expected)
        bar = f"[{'#' * round(part * WIDTH):<{WIDTH}}] {part:4.0%} {done:>10,} rows {speed:>8,.0f} rows/s"
        if self.stdout.isatty():
            self.stdout.write(f"\r{bar}", ending="")
        elif int(part * 10) > self.tenths_shown:
            self.tenths_shown = int(part * 10)
            self.stdout.write(bar)
        self.stdout.flush()

    def _print(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def check_ledger_is_generated(*, reset: bool) -> None:
    if Workflow.objects.exclude(config__has_key=MARK).exists():
        raise CommandError(
            "This ledger holds workflows that seed_ledger did not make: seed an empty database. "
            "DATABASE_URL or PASTETRADER_LOCAL names another."
        )
    if not reset and (Workflow.objects.exists() or WorkflowExecution.objects.exists()):
        raise CommandError(
            "This ledger was seeded before: --resume goes on if that was interrupted, --reset removes all of it first."
        )


def interrupted_plan() -> Plan:
    """Return the plan of the ledger that is there. Raises CommandError if seed_ledger did not make it."""
    check_ledger_is_generated(reset=True)
    marks = Workflow.objects.values_list(f"config__{MARK}", flat=True)
    if (mark := marks.first()) is None:
        raise CommandError("There is no interrupted seed_ledger: leave out --resume.")
    return Plan.from_json(mark)


def _store(batch: Batch) -> None:
    with transaction.atomic():
        for model, rows in batch.items():
            ingest.copy(model, FIELDS[model], rows)
        connection.check_constraints()  # per batch, as deferred checks of a million rows at COMMIT are slow


def _is_stored(batch: Batch) -> bool:
    """Return whether its last run is stored: a batch is stored as a whole."""
    return WorkflowExecution.objects.filter(pk=str(batch[WorkflowExecution][-1][0])).exists()


def _user(name: str | None) -> object:
    model = get_user_model()
    users = model._default_manager
    if name is None:
        return users.filter(is_superuser=True).order_by("pk").first()
    if (user := users.filter(**{model.USERNAME_FIELD: name}).first()) is None:
        raise CommandError(f"There is no user {name}: make one with `manage.py createsuperuser`.")
    return user


def _id_at(when: datetime) -> Any:
    """Return the lowest valid UUIDv7 of this time."""
    lowest = partitions.bound(when)
    return type(lowest)(int=lowest.int | 7 << 76 | 2 << 62)


@contextmanager
def _without_logging(logger: logging.Logger) -> Iterator[None]:
    """Disable the logger: here every partition is missing, and a warning for each is noise."""
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = False
