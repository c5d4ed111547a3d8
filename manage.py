#!/usr/bin/env python
"""Django's command line: `python manage.py help` lists what it can do."""

import gc
import os
import signal
import sys


def main() -> None:
    if sys.version_info < (3, 12):  # noqa: UP036 - it is for a Python that is older than the code says
        sys.exit(f"{sys.executable} is too old: Python 3.12 or newer is needed. Call .venv/bin/python manage.py.")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "pastetrader.settings")
    gc.disable()  # until the apps are loaded (pastetrader/apps.py): there is no garbage in what is imported
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415 - settings must be named first
    except ModuleNotFoundError:
        sys.exit(f"{sys.executable} has no Django: `make setup` installs it, then call .venv/bin/python manage.py.")

    from ledgerkit.db.audit import Through, set_actor, system_user  # noqa: PLC0415 - as above
    from pastetrader.command_errors import sentence  # noqa: PLC0415 - as above

    # Ended politely, a command still gives back its lease on the embedded server.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if sys.argv[1:2] != ["test"]:  # the suite says by itself who acts
        set_actor(through=Through.COMMAND, name=system_user())
    try:
        execute_from_command_line(sys.argv)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        if "--traceback" in sys.argv or not (message := sentence(error, *sys.argv[1:2])):
            raise
        sys.exit(message)


if __name__ == "__main__":
    main()
