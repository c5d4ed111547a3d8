"""The ASGI application."""

import os
import sys

from django.conf import settings
from django.core.asgi import get_asgi_application

from pastetrader.bodies import BoundedBodies
from pastetrader.charsets import PlainCharset
from pastetrader.hangups import PatientRequests

# Seconds after which a thread that computes lets others go on who want to. A request waits for the database a dozen
# times, and after each of them for whatever thread renders a page or a stream: by default 5 ms each time.
sys.setswitchinterval(0.0005)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")

django = PatientRequests(get_asgi_application())
application = PlainCharset(BoundedBodies(django, settings.DATA_UPLOAD_MAX_MEMORY_SIZE))

from pastetrader.startup import prepare  # noqa: E402  # models can be imported from here on

prepare()
