"""The WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")

application = get_wsgi_application()

from pastetrader.startup import prepare  # noqa: E402  # models can be imported from here on

prepare()
