from rest_framework.renderers import JSONRenderer


class CompactJSONRenderer(JSONRenderer):
    """JSON without spaces, in UTF-8, independent of REST_FRAMEWORK."""

    compact = True
    ensure_ascii = False
    strict = True
