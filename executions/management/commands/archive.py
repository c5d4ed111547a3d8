from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions.archive import ArchiveError, folders, verification
from executions.models import ArchiveFile
from ledgerkit.db.timeouts import no_limit


class Command(BaseCommand):
    help = _("List or check the files of the archive (EXECUTIONS['ARCHIVE']).")

    def add_arguments(self, parser: ArgumentParser) -> None:
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--list", action="store_true", help=_("print the files that the database has recorded"))
        what.add_argument(
            "--verify",
            nargs="*",
            metavar="FILE",
            help=_("check these files, or all: manifest, SHA-256, JSON and counts"),
        )

    @no_limit()
    def handle(self, *args: object, **options: Any) -> None:
        if options["list"]:
            self._list()
        else:
            self._verify(options["verify"])

    def _list(self) -> None:
        for file in ArchiveFile.objects.iterator():
            self.stdout.write(f"{file.name}  {file.run_count:>8}  {file.row_count:>10}  {file.size:>14}  {file.sha256}")

    def _verify(self, chosen: list[str]) -> None:
        try:
            places = [(folders.of_file(each), Path(each).name) for each in chosen] or self._all()
        except ArchiveError as error:
            raise CommandError(str(error.sentence)) from None
        recorded = set(ArchiveFile.objects.values_list("name", flat=True))
        bad = 0
        for folder, name in places:
            if name not in recorded:
                self.stdout.write(
                    _("%(name)s is not recorded: a pass that did not end, or another ledger, left it.") % {"name": name}
                )
                if not verification.has_manifest(folder, name):
                    continue
            found = list(verification.faults(folder, name))
            bad += bool(found)
            for fault in found:
                self.stderr.write(str(fault))
        if bad:
            raise CommandError(ngettext("%(n)d file is bad.", "%(n)d files are bad.", bad) % {"n": bad})
        right = ngettext("%(n)d file is as it was written.", "%(n)d files are as they were written.", len(places))
        self.stdout.write(right % {"n": len(places)})

    def _all(self) -> list[tuple[folders.Folder, str]]:
        folder = folders.require_folder()
        return [(folder, name) for name in verification.names(folder)]
