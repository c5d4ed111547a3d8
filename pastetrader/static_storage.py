"""Storage of static files under names with a hash, so that browsers may cache them for ever."""

from django.conf import settings
from django.urls import get_script_prefix
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc] # WhiteNoise is untyped
    """Manifest storage that also rewrites imports of JavaScript modules, which would load twice under plain names."""

    support_js_module_import_aggregation = True

    @property
    def base_url(self) -> str:
        """Return the address of static files below the path prefix of the request, which a proxy may name in each."""
        return get_script_prefix() + settings.STATIC_URL.removeprefix(settings.FORCE_SCRIPT_NAME or "").lstrip("/")

    @base_url.setter
    def base_url(self, _address: str) -> None:
        """Ignore the address with the prefix of the thread that made the storage."""
