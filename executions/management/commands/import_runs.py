import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions.facts.refusals import NotFacts
from executions.imports import files, record_facts, record_lineage
from executions.imports.conversion import NotImportable
from executions.imports.record_facts import Recorded
from ledgerkit.command_arguments import utf8
from ledgerkit.db.timeouts import no_limit

MEGABYTE = 1_000_000
SECONDS = 10  # between two lines of progress where the output is no terminal
WIDTH = 20  # characters of the bar


class Command(BaseCommand):
    help = _(
        "Import runs of other systems: run_results.json or the log in JSON of dbt with the manifest.json beside it, "
        "Argo Workflow objects, WfFormat instances, OpenLineage events, and facts as the API takes them, one in each "
        "line. What was imported before adds nothing."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help=_("a file, a directory, or - for standard input"))
        parser.add_argument("--owner", type=utf8, required=True, help=_("the user who owns the workflows"))
        parser.add_argument("--dry-run", action="store_true", help=_("read and check the files, and store nothing"))

    @no_limit()
    def handle(self, *args: object, **options: Any) -> None:
        owner = _owner(options["owner"])
        total, faults = Recorded(), []
        self.next_line_at = time.monotonic() + SECONDS
        try:
            paths = [path for path in files.expand(options["files"]) if not files.is_part(path)]
        except NotImportable as error:
            raise CommandError(str(error)) from None
        for number, path in enumerate(paths, 1):
            try:
                total.add(self._import(path, owner, f"{number}/{len(paths)} {path.name}", dry_run=options["dry_run"]))
            except (NotImportable, NotFacts, OSError) as error:
                faults.append(f"{path}: {error}")
                self.stderr.write(f"\r\x1b[K{faults[-1]}" if self.stderr.isatty() else faults[-1])
        self._print(total, dry_run=options["dry_run"])
        if faults:
            failed = ngettext("%(n)d file was not imported.", "%(n)d files were not imported.", len(faults))
            raise CommandError(failed % {"n": len(faults)})

    def _import(self, path: Path, owner: object, title: str, *, dry_run: bool) -> Recorded:
        total = Recorded()
        with _open(path) as stream:
            source, read = files.open_source(path, stream), 0
            size_of_all = path.stat().st_size if path.is_file() else 0
            for facts, size in source.pieces:
                total.add(self._record(source, facts, owner, dry_run=dry_run))
                read += size
                self._show_progress(f"{title} ({source.format})", read, size_of_all)
        return total

    def _record(self, source: files.Source, facts: list[Any], owner: object, *, dry_run: bool) -> Recorded:
        if source.is_events:
            return record_lineage.record_documents(facts, owner, dry_run=dry_run)
        return record_facts.check(facts) if dry_run else record_facts.record(facts, owner)

    def _show_progress(self, title: str, read: int, size: int) -> None:
        """Show how much of a file was read: on a terminal in one line, elsewhere in a new one now and then."""
        text = f"{title} {_bar_of(read, size)}"
        if self.stderr.isatty():
            self.stderr.write(f"\r\x1b[K{text}", ending="")
        elif time.monotonic() >= self.next_line_at:
            self.stderr.write(text)
            self.next_line_at = time.monotonic() + SECONDS

    def _print(self, total: Recorded, *, dry_run: bool) -> None:
        if self.stderr.isatty():
            self.stderr.write("")
        if dry_run:
            self.stdout.write(_("%(runs)d runs could be imported; nothing was stored.") % {"runs": total.runs})
            return
        sentence = _(
            "Imported %(runs)d runs (%(applied)d facts); %(known_runs)d runs and %(known)d facts were there before."
        )
        self.stdout.write(sentence % asdict(total))


def _bar_of(read: int, size: int) -> str:
    """Return a bar and a percentage; of standard input, whose size is unknown, what was read alone."""
    if not size:
        return f"{read / MEGABYTE:,.1f} MB"
    done = min(read / size, 1)
    return f"[{'#' * int(done * WIDTH):.<{WIDTH}}] {done:4.0%} {read / MEGABYTE:,.1f}/{size / MEGABYTE:,.1f} MB"


def _owner(username: str) -> Any:
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(username)
    except model.DoesNotExist:
        raise CommandError(_("There is no user %(name)s.") % {"name": username}) from None


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    with path.open("rb") as stream:
        yield stream
