"""`extend_schema` on drf-spectacular's AutoSchema, whatever DEFAULT_SCHEMA_CLASS of the project is."""

import inspect
from collections.abc import Callable
from typing import Any

from drf_spectacular import utils
from drf_spectacular.openapi import AutoSchema


def extend_schema(**description: object) -> Callable[[object], Any]:
    """Describe a view, whose class names its base already, or one of its methods."""
    extend = utils.extend_schema(**description)

    def decorate(target: Any) -> Any:
        if not inspect.isclass(target):
            target.kwargs = {"schema": AutoSchema} | getattr(target, "kwargs", {})
        return extend(target)

    return decorate
