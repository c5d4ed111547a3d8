from django.db import migrations


class Migration(migrations.Migration):
    """Idempotency keys are ledgerkit's: the table stays as it is, for ledgerkit's first migration to take over."""

    dependencies = [("tokens", "0007_track_changes")]

    operations = [
        migrations.SeparateDatabaseAndState(state_operations=[migrations.DeleteModel("IdempotencyKey")]),
    ]
