from django.db import migrations

from ledgerkit.db.operations import TrackChanges


class Migration(migrations.Migration):
    """Keep the names of those who made and revoked a token when their user is deleted."""

    dependencies = [("tokens", "0006_names"), ("workflows", "0006_definition_changes")]

    operations = [TrackChanges("tokens", "token")]
