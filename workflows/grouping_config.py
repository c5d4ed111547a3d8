"""The key of a workflow's config with the rule that groups its failures (executions/error_groups)."""

from collections.abc import Mapping

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

KEY = "error_grouping"
RULES = ("traceback", "message", "class", "node")
NO_RULE = _("config.error_grouping: expected one of traceback, message, class, node.")


def check(config: object) -> None:
    """Raise ValidationError for an unknown rule."""
    if isinstance(config, Mapping) and KEY in config and config[KEY] not in RULES:
        raise ValidationError({"config": [NO_RULE]})
