from rest_framework.renderers import JSONRenderer


class CompactJSONRenderer(JSONRenderer):
    """JSON without spaces, in UTF-8, whatever REST_FRAMEWORK says."""

    compact = True
    ensure_ascii = False
    strict = True
