"""Authentication schemes for the schema."""

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension

type Schema = dict[str, object]


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # drf-spectacular is untyped
    target_class = "tokens.authentication.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: object) -> Schema:
        text = "A token of `manage.py create_token`. `Authorization: Token ptl_...` is understood as well."
        return {"type": "http", "scheme": "bearer", "description": text}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[misc]  # its base class is untyped
    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: object) -> Schema:
        text = "A session of the admin; what writes needs its CSRF token too, in the header `X-CSRFToken`."
        return {"type": "apiKey", "in": "cookie", "name": settings.SESSION_COOKIE_NAME, "description": text}
