"""Generator of the API's schema: of its own views alone, with its own settings."""

from typing import Any

from django.utils import translation
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.plumbing import _load_enum_name_overrides
from drf_spectacular.settings import patched_settings
from rest_framework.settings import api_settings

from tokens.views import LedgerView

from .auto_schema import LedgerAutoSchema
from .settings import SETTINGS


class LedgerEndpoints(EndpointEnumerator):  # type: ignore[misc]  # drf-spectacular is untyped
    def should_include_endpoint(self, path: str, callback: Any) -> bool:
        is_ours = issubclass(getattr(callback, "cls", object), LedgerView)
        return is_ours and super().should_include_endpoint(path, callback)


class LedgerSchemaGenerator(SchemaGenerator):  # type: ignore[misc]  # as above
    endpoint_inspector_cls = LedgerEndpoints

    def create_view(self, callback: Any, method: str, request: Any = None) -> Any:
        """Describe the view by LedgerAutoSchema in place of the project's DEFAULT_SCHEMA_CLASS."""
        original = callback.cls
        schema = _on_our_base(type(original.schema))
        callback.cls = type(original.__name__, (original,), {"schema": schema(), "__doc__": original.__doc__})
        try:
            return super().create_view(callback, method, request)
        finally:
            callback.cls = original

    def get_schema(self, request: Any = None, public: bool = False) -> Any:
        # drf-spectacular keeps the names of the first schema of a process: another may be the project's.
        _load_enum_name_overrides.cache_clear()
        try:
            with patched_settings(SETTINGS), translation.override("en"):
                return super().get_schema(request, public)
        finally:
            _load_enum_name_overrides.cache_clear()


def _on_our_base(schema: Any) -> Any:
    """Return the schema class of a view, which `extend_schema` derives from the default, on top of LedgerAutoSchema."""
    extensions: list[Any] = [each for each in schema.__mro__ if each not in api_settings.DEFAULT_SCHEMA_CLASS.__mro__]
    return type("LedgerViewSchema", (*extensions, *LedgerAutoSchema.__mro__), {})
