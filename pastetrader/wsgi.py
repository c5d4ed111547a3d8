"""The WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from ledgerkit.rest.charset import wsgi_charset_middleware

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")

application = wsgi_charset_middleware(get_wsgi_application())

from pastetrader.startup import prepare  # noqa: E402  # models can be imported from here on

prepare()
