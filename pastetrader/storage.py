"""Storage of static files: each under a name with its hash, so that browsers may keep it for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc] # WhiteNoise is untyped
    """Modules import each other by these names too: under its plain name a module would be loaded a second time."""

    support_js_module_import_aggregation = True
