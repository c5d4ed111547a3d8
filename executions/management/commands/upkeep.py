from django.core.management.base import BaseCommand

from executions import partitions
from ledgerkit.db.timeouts import no_limit
from ledgerkit.models import IdempotencyKey


class Command(BaseCommand):
    help = "Create log partitions ahead of time and delete expired idempotency keys. Run it daily, such as by cron."

    @no_limit()
    def handle(self, *args: object, **options: object) -> None:
        made = partitions.make_ahead()
        forgotten, _ = IdempotencyKey.objects.expired().delete()
        self.stdout.write(f"Made {len(made)} partitions, forgot {forgotten} answers to idempotency keys.")
