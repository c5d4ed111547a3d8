"""Signatures of the Standard Webhooks specification: the secret is `whsec_` and 24 to 64 bytes in base64, and signs the
id, the time and the body."""

import base64
import binascii
import hashlib
import hmac
import secrets

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

PREFIX = "whsec_"
MIN_SECRET_BYTES, MAX_SECRET_BYTES = 24, 64  # bytes
NOT_A_SECRET = _("Expected whsec_ and 24 to 64 bytes in base64.")


def make_secret() -> str:
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def check_secret(secret: str) -> None:
    """Raise ValidationError on `secret` if it is not one."""
    try:
        length = len(_key(secret)) if secret.startswith(PREFIX) else 0
    except (binascii.Error, ValueError):
        length = 0
    if not MIN_SECRET_BYTES <= length <= MAX_SECRET_BYTES:
        raise ValidationError({"secret": NOT_A_SECRET}, code="invalid")


def headers(secret: str, id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Return the headers of a message."""
    content = f"{id}.{timestamp}.".encode() + body
    digest = hmac.new(_key(secret), content, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
