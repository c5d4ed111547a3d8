"""The ASGI application."""

import os

from django.conf import settings
from django.core.asgi import get_asgi_application

from pastetrader.bodies import BoundedBodies
from pastetrader.charsets import PlainCharset
from pastetrader.hangups import PatientRequests

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")

django = PatientRequests(get_asgi_application())
application = PlainCharset(BoundedBodies(django, settings.DATA_UPLOAD_MAX_MEMORY_SIZE))

from pastetrader.startup import prepare  # noqa: E402  # models can be imported from here on

prepare()
