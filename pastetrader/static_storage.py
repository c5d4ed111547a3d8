"""Storage of static files under names with a hash, so that browsers may cache them for ever."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc] # WhiteNoise is untyped
    """Manifest storage that also rewrites imports of JavaScript modules, which would load twice under plain names."""

    support_js_module_import_aggregation = True
