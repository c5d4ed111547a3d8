"""The ASGI application."""

import logging
import os
import sys

import django
from django.conf import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
django.setup()  # with the prefix, which is part of STATIC_URL

from pastetrader.log_format import AccessLogFilter  # noqa: E402  # after django.setup()
from pastetrader.startup import prepare  # noqa: E402  # after django.setup()
from pastetrader.threaded_handler import ThreadedHandler  # noqa: E402  # after django.setup()
from pastetrader.tracing import start_tracing  # noqa: E402  # after django.setup()

# Seconds after which a thread that computes lets others go on who want to. A request waits for the database a dozen
# times, and after each of them for whatever thread renders a page or a stream: by default 5 ms each time.
sys.setswitchinterval(0.0005)

logging.getLogger("uvicorn.access").addFilter(AccessLogFilter())
if settings.TRACES:
    start_tracing()  # before the application is made, to which it adds a middleware
prepare()  # before the application is made, whose middleware reads which static files there are
application = ThreadedHandler()
