from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _

from .conf import tokens_settings


class TokensConfig(AppConfig):
    name = "tokens"
    verbose_name = _("API tokens")

    def ready(self) -> None:
        tokens_settings.register_check()
