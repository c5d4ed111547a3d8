"""Run the momentum screen once, so that the ledger has a run to show."""

import logging
import platform
from argparse import ArgumentTypeError
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import django
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ledgerkit.command_arguments import utf8
from ledgerkit.db.models import uuid7
from pastetrader.demo.engine import Engine, Result, Step
from pastetrader.demo.ledger_client import connect
from pastetrader.demo.nodes import FUNCTIONS
from pastetrader.demo.workflow import get_or_make
from workflows.models import Workflow


class Command(BaseCommand):
    help = "Make the demo workflow, a momentum screen of five US stocks, if it is missing, and run it once."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--as-of",
            type=_day,
            metavar="DAY",
            help="the day of the screen, such as 2012-06-29; else the workflow's own",
        )
        parser.add_argument(
            "--owner", type=utf8, metavar="NAME", help="whose workflow it is; default: the first superuser"
        )

    def handle(self, *, owner: str | None, as_of: str | None = None, **options: object) -> None:
        user = _user(owner) if owner else _first_superuser()
        workflow = get_or_make(user)
        if runs := list(map(str, workflow.executions.running().values_list("pk", flat=True))):
            raise CommandError(
                f"{workflow.name} is running already: wait for run {', '.join(runs)} to end, or cancel it."
            )
        self._print(f"Running {workflow.name} ...")
        with _quiet_console(), connect(user) as client:
            result = Engine(FUNCTIONS, client, self._progress).execute(workflow, **_values(workflow, user, as_of))
        self._print(f"Run {result.run} is {result.status}: /admin/executions/workflowexecution/{result.run}/change/")
        if result.status != "completed":
            raise CommandError(result.error)
        self._show_report(result)

    def _progress(self, step: Step) -> None:
        word = "retried" if step.status == "pending" else step.status
        error = f": {step.error}" if step.status == "failed" else ""
        self._print(f"  {word:<10} {step.node.name}{error}")

    def _show_report(self, result: Result) -> None:
        report = result.output["Report"]
        self._print(f"Momentum at the close of {report['as_of']}:")
        for row in report["ranking"]:
            self._print(f"  {row['rank']}. {row['ticker']:<5} {row['momentum']:+7.1%}")
        for row in report["unranked"]:
            self._print(f"  -  {row['ticker']:<5} not ranked: {row['reason']}")
        self._print(report["summary"])

    def _print(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError as error:
        raise ArgumentTypeError(f"expected a day such as 2012-06-29, found {text!r}") from error


def _user(name: str) -> User:
    users = get_user_model()
    try:
        return users._default_manager.get_by_natural_key(name)
    except users.DoesNotExist as error:
        raise CommandError(f"There is no user {name}: make one with `manage.py createsuperuser`.") from error


def _first_superuser() -> User | None:
    return get_user_model()._default_manager.filter(is_superuser=True).order_by("pk").first()


def _values(workflow: Workflow, user: User | None, as_of: str | None) -> dict[str, object]:
    return {
        "input": workflow.variables | ({"as_of": as_of} if as_of else {}),
        "context": {
            "variables": workflow.variables,
            "environment": {"python": platform.python_version(), "django": django.__version__},
        },
        "metadata": {
            "triggered_by": user.get_username() if user else "manage.py demo",
            "correlation_id": f"demo-{uuid7()}",
            "priority": "normal",
            "tags": ["demo", "momentum"],
        },
    }


@contextmanager
def _quiet_console() -> Iterator[None]:
    """Keep log lines of nodes off the console: they are in the ledger and would hide the progress."""
    logger = logging.getLogger("pastetrader.demo")
    logger.propagate = False
    try:
        yield
    finally:
        logger.propagate = True
