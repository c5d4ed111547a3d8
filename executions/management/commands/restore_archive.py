from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions.archive import ArchiveError, folders, restoring
from ledgerkit.db.timeouts import no_limit


class Command(BaseCommand):
    help = _(
        "Restore deleted runs, or removed log lines, from files of the archive. What is there already is left as it is."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("files", nargs="+", metavar="FILE", help=_("the name of a file in the archive, or a path"))
        parser.add_argument("--run", type=UUID, action="append", default=[], metavar="ID", help=_("only this run"))

    @no_limit()
    def handle(self, *args: object, **options: Any) -> None:
        bad = 0
        for each in options["files"]:
            name = Path(each).name
            try:
                self._print(name, restoring.restore(folders.of_file(each), name, options["run"]))
            except ArchiveError as error:
                self.stderr.write(str(error.sentence))
                bad += 1
        if bad:
            raise CommandError(ngettext("%(n)d file is bad.", "%(n)d files are bad.", bad) % {"n": bad})

    def _print(self, name: str, restored: restoring.Restored) -> None:
        sentence = _("%(name)s: restored %(runs)d runs; %(there)d were there already.")
        if restored.lines is not None:
            sentence = _("%(name)s: restored %(lines)d lines of runs that are there.")
        self.stdout.write(sentence % {**vars(restored), "name": name})
        for newer, count in restored.newer.items():
            self.stdout.write(
                ngettext("%(n)d run is newer in %(file)s.", "%(n)d runs are newer in %(file)s.", count)
                % {"n": count, "file": newer}
            )
