from argparse import ArgumentParser

from django.core.management.base import BaseCommand

from executions.secrets import retention
from ledgerkit.db.timeouts import no_limit


class Command(BaseCommand):
    help = "Delete the encrypted secrets of executions whose retention has passed. Run it from a timer such as cron."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only print how many there are")

    @no_limit()
    def handle(self, *args: object, **options: object) -> None:
        if options["dry_run"]:
            count = retention.runs_with_expired_secrets().count()
            self.stdout.write(f"The secrets of {count} executions would be deleted.")
        else:
            self.stdout.write(f"Deleted the secrets of {retention.purge()} executions.")
