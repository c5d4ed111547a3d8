"""The ASGI application."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")

application = get_asgi_application()

from pastetrader.startup import prepare  # noqa: E402  # models can be imported from here on

prepare()
