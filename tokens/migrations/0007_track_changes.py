from django.db import migrations

from ledgerkit.db.operations import TrackChanges


class Migration(migrations.Migration):
    """Who made and revoked a token outlives the token's user."""

    dependencies = [("tokens", "0006_names"), ("workflows", "0006_definition_changes")]

    operations = [TrackChanges("tokens", "token")]
