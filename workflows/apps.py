from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from .conf import workflows_settings


class WorkflowsConfig(AppConfig):
    name = "workflows"
    verbose_name = _("workflows")

    def ready(self) -> None:
        from tokens import bindable_models  # noqa: PLC0415  # its models may be imported once all apps are loaded

        from .api import errors  # noqa: F401, PLC0415  # registers how the API responds to the exceptions

        workflows_settings.register_check()
        bindable_models.register(self.get_model("Workflow"))
