from django.apps import AppConfig
from django.core import checks
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class ExecutionsConfig(AppConfig):
    name = "executions"
    verbose_name = _("executions")

    def ready(self) -> None:
        from . import conf, django_tasks, partitions, user_groups  # noqa: PLC0415  # nothing of ours may be imported before the apps are loaded
        from .api import errors  # noqa: F401, PLC0415  # registers how the API responds to the exceptions
        from .archive.checks import check_archive  # noqa: PLC0415  # as above
        from .upkeep.last_upkeep import check_upkeep  # noqa: PLC0415  # as above

        conf.executions_settings.register_check()
        checks.register(conf.check_secrets_keys, deploy=True)
        checks.register(conf.check_middleware)
        checks.register(check_archive)
        checks.register(check_upkeep, checks.Tags.database)
        django_tasks.connect()
        post_migrate.connect(partitions.after_migrate, sender=self)
        post_migrate.connect(user_groups.after_migrate, sender=self)
