import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models

import ledgerkit.db.indexes
import ledgerkit.db.models
import ledgerkit.db.names


class Migration(migrations.Migration):
    """Rules, channels, alerts and the outbox of their messages."""

    dependencies = [
        ("alerts", "0001_expectations"),
        ("workflows", "0009_messages"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Outcome",
            fields=[
                (
                    "workflow",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="workflows.workflow",
                    ),
                ),
                ("has_failed", models.BooleanField(verbose_name="failed")),
            ],
            options={
                "db_table": "alert_outcomes",
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Alert",
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
                    "kind",
                    models.CharField(
                        choices=[
                            ("failure", "failure"),
                            ("first_failure", "first failure after a success"),
                            ("recovery", "recovery"),
                            ("late", "run takes too long"),
                            ("missing", "expected run is missing"),
                            ("upkeep_silent", "upkeep has not run"),
                        ],
                        max_length=50,
                        verbose_name="kind",
                    ),
                ),
                ("occurrence", models.TextField(verbose_name="occurrence")),
                ("facts", models.JSONField(verbose_name="facts")),
                (
                    "state",
                    models.CharField(
                        choices=[("sent", "sent"), ("held", "held back"), ("merged", "counted in a later one")],
                        max_length=50,
                        verbose_name="state",
                    ),
                ),
                ("held_back", models.PositiveIntegerField(db_default=0, default=0, verbose_name="held back before it")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="created"),
                ),
                ("sent_at", models.DateTimeField(null=True, verbose_name="sent")),
                (
                    "workflow",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="alerts",
                        to="workflows.workflow",
                        verbose_name="workflow",
                    ),
                ),
            ],
            options={
                "verbose_name": "alert",
                "verbose_name_plural": "alerts",
                "db_table": "alerts",
                "ordering": ["-created_at", "-id"],
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Channel",
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
                ("name", models.CharField(max_length=255, verbose_name="name")),
                (
                    "kind",
                    models.CharField(
                        choices=[("webhook", "webhook"), ("slack", "Slack"), ("email", "e-mail")],
                        max_length=50,
                        verbose_name="kind",
                    ),
                ),
                (
                    "host",
                    models.CharField(db_default="", default="", editable=False, max_length=255, verbose_name="host"),
                ),
                (
                    "recipients",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.EmailField(max_length=254),
                        blank=True,
                        db_default=models.Value(
                            [],
                            output_field=django.contrib.postgres.fields.ArrayField(
                                base_field=models.EmailField(max_length=254)
                            ),
                        ),
                        default=list,
                        help_text="Of e-mail: addresses, with commas between them",
                        verbose_name="recipients",
                    ),
                ),
                ("encrypted_address", models.TextField(db_default="", default="", editable=False)),
                ("encrypted_secret", models.TextField(db_default="", default="", editable=False)),
                ("is_active", models.BooleanField(db_default=True, default=True, verbose_name="active")),
                ("failing_since", models.DateTimeField(editable=False, null=True, verbose_name="failing since")),
                ("disabled_at", models.DateTimeField(editable=False, null=True, verbose_name="disabled")),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="alert_channels",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
            ],
            options={
                "verbose_name": "alert channel",
                "verbose_name_plural": "alert channels",
                "db_table": "alert_channels",
                "ordering": ["name", "id"],
            },
        ),
        migrations.CreateModel(
            name="Delivery",
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
                ("body", models.TextField(verbose_name="message")),
                (
                    "state",
                    models.CharField(
                        choices=[("waiting", "waiting"), ("delivered", "delivered"), ("given_up", "given up")],
                        db_default="waiting",
                        default="waiting",
                        max_length=50,
                        verbose_name="state",
                    ),
                ),
                ("tries", models.PositiveIntegerField(db_default=0, default=0, verbose_name="tries")),
                (
                    "next_try_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="next try"),
                ),
                ("answer", models.PositiveSmallIntegerField(null=True, verbose_name="answer")),
                ("error", models.TextField(db_default="", default="", verbose_name="error")),
                (
                    "created_at",
                    models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name="created"),
                ),
                ("tried_at", models.DateTimeField(null=True, verbose_name="last try")),
                (
                    "alert",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="deliveries",
                        to="alerts.alert",
                        verbose_name="alert",
                    ),
                ),
                (
                    "channel",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="deliveries",
                        to="alerts.channel",
                        verbose_name="channel",
                    ),
                ),
            ],
            options={
                "verbose_name": "alert delivery",
                "verbose_name_plural": "alert deliveries",
                "db_table": "alert_deliveries",
                "ordering": ["-created_at", "-id"],
                "default_permissions": ("view", "change"),
            },
        ),
        migrations.CreateModel(
            name="Rule",
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
                ("name", models.CharField(max_length=255, verbose_name="name")),
                (
                    "kinds",
                    django.contrib.postgres.fields.ArrayField(
                        base_field=models.CharField(
                            choices=[
                                ("failure", "failure"),
                                ("first_failure", "first failure after a success"),
                                ("recovery", "recovery"),
                                ("late", "run takes too long"),
                                ("missing", "expected run is missing"),
                                ("upkeep_silent", "upkeep has not run"),
                            ],
                            max_length=50,
                        ),
                        verbose_name="kinds",
                    ),
                ),
                (
                    "most",
                    models.PositiveSmallIntegerField(
                        db_default=3,
                        default=3,
                        help_text="About one workflow, in the seconds below: more are held back, and the newest is sent afterwards",
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(1000),
                        ],
                        verbose_name="alerts at most",
                    ),
                ),
                (
                    "within_seconds",
                    models.PositiveIntegerField(
                        db_default=600,
                        default=600,
                        validators=[
                            django.core.validators.MinValueValidator(1),
                            django.core.validators.MaxValueValidator(604800),
                        ],
                        verbose_name="within seconds",
                    ),
                ),
                ("is_active", models.BooleanField(db_default=True, default=True, verbose_name="active")),
                (
                    "owner",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="alert_rules",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="owner",
                    ),
                ),
                (
                    "workflow",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty: all workflows",
                        null=True,
                        on_delete=django.db.models.deletion.DB_CASCADE,
                        related_name="alert_rules",
                        to="workflows.workflow",
                        verbose_name="workflow",
                    ),
                ),
            ],
            options={
                "verbose_name": "alert rule",
                "verbose_name_plural": "alert rules",
                "db_table": "alert_rules",
                "ordering": ["name", "id"],
            },
        ),
        migrations.AddField(
            model_name="alert",
            name="rule",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.DB_CASCADE, related_name="alerts", to="alerts.rule"
            ),
        ),
        migrations.CreateModel(
            name="RuleChannel",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("channel", models.ForeignKey(on_delete=django.db.models.deletion.DB_CASCADE, to="alerts.channel")),
                (
                    "rule",
                    models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.DB_CASCADE, to="alerts.rule"),
                ),
            ],
            options={
                "db_table": "alert_rule_channels",
                "default_permissions": (),
            },
        ),
        migrations.AddField(
            model_name="rule",
            name="channels",
            field=models.ManyToManyField(
                related_name="rules", through="alerts.RuleChannel", to="alerts.channel", verbose_name="channels"
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.CheckConstraint(
                condition=models.Q(("kind__in", ["webhook", "slack", "email"])), name="alert_channel_kind_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(
                        ("encrypted_address", ""),
                        ("encrypted_secret", ""),
                        ("kind", "email"),
                        models.Q(("recipients", []), _negated=True),
                    ),
                    models.Q(
                        models.Q(("kind", "email"), _negated=True),
                        models.Q(("encrypted_address", ""), _negated=True),
                        ("recipients", []),
                    ),
                    _connector="OR",
                ),
                name="alert_channel_complete",
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("kind", "webhook"), _negated=True),
                    models.Q(("encrypted_secret", ""), _negated=True),
                    _connector="OR",
                ),
                name="alert_webhook_has_secret",
            ),
        ),
        migrations.AddConstraint(
            model_name="channel",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ledgerkit.db.names.IsNFC(models.F("name")),
                    models.Q(
                        (
                            "name__regex",
                            "[\\u0001-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]",
                        ),
                        _negated=True,
                    ),
                ),
                name="alert_channel_name_clean",
            ),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=ledgerkit.db.indexes.Index(fields=["-created_at", "-id"], name="idx_alert_deliveries_created"),
        ),
        migrations.AddIndex(
            model_name="delivery",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("state", "waiting")),
                fields=["channel", "next_try_at"],
                name="idx_alert_deliveries_waiting",
            ),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.UniqueConstraint(fields=("alert", "channel"), name="alert_delivery_once"),
        ),
        migrations.AddConstraint(
            model_name="delivery",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["waiting", "delivered", "given_up"])),
                name="alert_delivery_state_known",
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=ledgerkit.db.indexes.Index(
                fields=["rule", "workflow", "sent_at"], name="idx_alerts_rule_workflow_sent"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=ledgerkit.db.indexes.Index(
                condition=models.Q(("state", "held")), fields=["rule", "workflow"], name="idx_alerts_held"
            ),
        ),
        migrations.AddIndex(
            model_name="alert",
            index=ledgerkit.db.indexes.Index(fields=["created_at"], name="idx_alerts_created"),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.UniqueConstraint(fields=("rule", "kind", "occurrence"), name="alert_once"),
        ),
        migrations.AddConstraint(
            model_name="alert",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["sent", "held", "merged"])), name="alert_state_known"
            ),
        ),
        migrations.AddConstraint(
            model_name="rulechannel",
            constraint=models.UniqueConstraint(fields=("rule", "channel"), name="alert_rule_channel_once"),
        ),
        migrations.AddConstraint(
            model_name="rule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    (
                        "kinds__contained_by",
                        ["failure", "first_failure", "recovery", "late", "missing", "upkeep_silent"],
                    ),
                    models.Q(("kinds", []), _negated=True),
                ),
                name="alert_rule_kinds_known",
            ),
        ),
        migrations.AddConstraint(
            model_name="rule",
            constraint=models.CheckConstraint(
                condition=models.Q(("most__range", (1, 1000)), ("within_seconds__range", (1, 604800))),
                name="alert_rule_limits",
            ),
        ),
        migrations.AddConstraint(
            model_name="rule",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    ledgerkit.db.names.IsNFC(models.F("name")),
                    models.Q(
                        (
                            "name__regex",
                            "[\\u0001-\\u001f\\u007f-\\u009f\\u061c\\u200e\\u200f\\u2028-\\u202e\\u2066-\\u2069]",
                        ),
                        _negated=True,
                    ),
                ),
                name="alert_rule_name_clean",
            ),
        ),
    ]
