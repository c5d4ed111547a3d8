from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from executions.ledger_checks import MAX_VIOLATIONS, Finding, check_ledger


class Command(BaseCommand):
    help = _(
        "Check the whole ledger: whether each status, attempt, version and rollup is what the transitions in the "
        "history lead to. It reads every run, so it takes a while; engines may report meanwhile."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--strict",
            action="store_true",
            help=_("also report what only lineage events, saves and SQL do: corrected ends, rows inserted as ended"),
        )

    def handle(self, *args: object, strict: bool, **options: object) -> None:
        total = sum(self._print(finding) for finding in check_ledger(strict=strict))
        if total:
            found = ngettext("%(n)d violation was found.", "%(n)d violations were found.", total)
            raise CommandError(found % {"n": total})

    def _print(self, finding: Finding) -> int:
        self.stdout.write(f"{finding.name}: {finding.number:,}")
        for violation in finding.violations:
            self.stdout.write(f"  {violation}")
        if finding.number > MAX_VIOLATIONS:
            self.stdout.write(_("  and %(n)d others") % {"n": finding.number - MAX_VIOLATIONS})
        return finding.number
