"""The WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from ledgerkit.rest.charset import plain_wsgi

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")

application = plain_wsgi(get_wsgi_application())

from pastetrader.startup import prepare  # noqa: E402  # models can be imported from here on

prepare()
