"""Schema generator for the API's own views, with its own settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.urls import get_script_prefix
from django.utils import translation
from drf_spectacular.generators import EndpointEnumerator, SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import _load_enum_name_overrides  # no public way resets the names of the other schema
from drf_spectacular.settings import patched_settings
from rest_framework.settings import api_settings

from tokens.base_views import LedgerView

from .auto_schema import LedgerAutoSchema
from .settings import SETTINGS


class LedgerEndpoints(EndpointEnumerator):  # type: ignore[misc]  # drf-spectacular is untyped
    def should_include_endpoint(self, path: str, callback: object) -> bool:
        is_ours = issubclass(getattr(callback, "cls", object), LedgerView)
        return is_ours and super().should_include_endpoint(path, callback)


class LedgerSchemaGenerator(SchemaGenerator):  # type: ignore[misc]  # as above
    endpoint_inspector_cls = LedgerEndpoints

    def create_view(self, callback: object, method: str, request: object = None) -> Any:
        """Describe the view by LedgerAutoSchema in place of the project's DEFAULT_SCHEMA_CLASS."""
        view = super().create_view(callback, method, request)
        view.schema = _on_our_base(view.schema.__class__)()  # the schema is a weak proxy
        return view

    def get_schema(self, request: object = None, public: bool = False) -> object:
        with _our_defaults(), patched_settings(SETTINGS | _servers()), translation.override("en"):
            return super().get_schema(request, public)


def _servers() -> dict[str, object]:
    """Return the address of the API if it is below a prefix, from which paths of the schema count."""
    prefix = get_script_prefix().rstrip("/")
    return {"SERVERS": [{"url": prefix}]} if prefix else {}


@contextmanager
def _our_defaults() -> Iterator[None]:
    """Set what drf-spectacular does not take from its settings, and reset it for the project's own schema: the base
    class of `extend_schema`, and the names of enumerations, which it keeps from the first schema on."""
    default = api_settings.DEFAULT_SCHEMA_CLASS
    api_settings.DEFAULT_SCHEMA_CLASS = AutoSchema
    _load_enum_name_overrides.cache_clear()
    try:
        yield
    finally:
        api_settings.DEFAULT_SCHEMA_CLASS = default
        _load_enum_name_overrides.cache_clear()


def _on_our_base(schema: Any) -> Any:
    """Return the schema class of a view, which `extend_schema` derives from AutoSchema, on top of LedgerAutoSchema."""
    extensions = [each for each in schema.__mro__ if each not in AutoSchema.__mro__]
    return type("LedgerViewSchema", (*extensions, *LedgerAutoSchema.__mro__), {})
