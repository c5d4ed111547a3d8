import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

import ledgerkit.db.models


class Migration(migrations.Migration):
    """Expectations of workflows, what was missed of them, and the place of the scans."""

    initial = True

    dependencies = [
        ("workflows", "0009_messages"),
    ]

    operations = [
        migrations.CreateModel(
            name="Expectation",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        db_default=ledgerkit.db.models.DatabaseUUID7(),
                        default=ledgerkit.db.models.uuid7,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                        verbose_name="id",
                    ),
                ),
                (
                    "version",
                    models.PositiveIntegerField(db_default=1, default=1, editable=False, verbose_name="version"),
                ),
                (
                    "created_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="created"
                    ),
                ),
                (
                    "updated_at",
                    models.DateTimeField(
                        db_default=django.db.models.functions.datetime.Now(), editable=False, verbose_name="updated"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("success_every", "a success at least every …"),
                            ("starts_by", "starts by …"),
                            ("ends_within", "ends within …"),
                        ],
                        max_length=50,
                        verbose_name="kind",
                    ),
                ),
                (
                    "seconds",
                    models.PositiveIntegerField(
                        blank=True,
                        help_text="60 to 31622400: of a success at least every …, ends within …",
                        null=True,
                        verbose_name="seconds",
                    ),
                ),
                (
                    "time",
                    models.TimeField(
                        blank=True, help_text="Of starts by …, such as 09:10", null=True, verbose_name="time of day"
                    ),
                ),
                (
                    "time_zone",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="Such as Asia/Seoul",
                        max_length=64,
                        verbose_name="time zone",
                    ),
                ),
                (
                    "days",
                    models.CharField(
                        blank=True,
                        db_default="",
                        default="",
                        help_text="every_day, weekdays, or the code of an exchange for its trading days, such as XKRX",
                        max_length=50,
                        verbose_name="days",
                    ),
                ),
                ("is_active", models.BooleanField(db_default=True, default=True, verbose_name="active")),
                (
                    "workflow",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="expectations",
                        to="workflows.workflow",
                        verbose_name="workflow",
                    ),
                ),
            ],
            options={
                "verbose_name": "expectation",
                "verbose_name_plural": "expectations",
                "db_table": "alert_expectations",
                "ordering": ["workflow", "id"],
            },
        ),
        migrations.CreateModel(
            name="Miss",
            fields=[
                (
                    "expectation",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        primary_key=True,
                        related_name="miss",
                        serialize=False,
                        to="alerts.expectation",
                        verbose_name="expectation",
                    ),
                ),
                ("since", models.DateTimeField(verbose_name="since")),
                ("run", models.UUIDField(null=True, verbose_name="run")),
                ("occurrence", models.TextField(verbose_name="occurrence")),
                ("is_open", models.BooleanField(db_default=True, default=True, verbose_name="open")),
            ],
            options={
                "db_table": "alert_misses",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Scan",
            fields=[
                ("id", models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                (
                    "scanned_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="time"),
                ),
                ("cursor", models.TextField(db_default="", default="", verbose_name="cursor")),
            ],
            options={
                "db_table": "alert_scans",
                "default_permissions": (),
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="alert_scan_is_one")],
            },
        ),
        migrations.AddConstraint(
            model_name="expectation",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["success_every", "starts_by", "ends_within"])),
                name="alert_expectation_kind_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="expectation",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("kind", "starts_by"),
                        ("seconds", None),
                        models.Q(("time", None), _negated=True),
                        models.Q(("time_zone", ""), _negated=True),
                        models.Q(("days", ""), _negated=True),
                    ),
                    models.Q(
                        models.Q(("seconds", None), _negated=True),
                        ("days", ""),
                        ("seconds__range", (60, 31622400)),
                        ("time", None),
                        ("time_zone", ""),
                        models.Q(("kind", "starts_by"), _negated=True),
                    ),
                    _connector="OR",
                ),
                name="alert_expectation_complete",
            ),
        ),
    ]
