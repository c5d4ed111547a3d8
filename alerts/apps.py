from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _

from .conf import alerts_settings

ENUMS = ("AlertKind", "ChannelKind", "DeliveryState", "ExpectationKind")  # by their names in the API's schema


class AlertsConfig(AppConfig):
    name = "alerts"
    verbose_name = _("alerts")

    def ready(self) -> None:
        from executions.admin.monitor import notices  # noqa: PLC0415  # nothing of ours may be imported before the apps are loaded
        from executions.admin.workflow import expected_runs  # noqa: PLC0415  # not before the apps are loaded
        from executions.api.schema.settings import ENUM_NAMES  # noqa: PLC0415  # not before the apps are loaded
        from executions.upkeep import runner  # noqa: PLC0415  # not before the apps are loaded

        from . import monitor_notices, next_runs, upkeep, user_groups  # noqa: PLC0415  # not before the apps are loaded

        ENUM_NAMES.update({name: f"alerts.models.{name}" for name in ENUMS})
        alerts_settings.register_check()
        notices.register(monitor_notices.find_notices)
        expected_runs.register(next_runs.find_next_runs)
        runner.register(*upkeep.TASKS)
        post_migrate.connect(user_groups.after_migrate, sender=self)
