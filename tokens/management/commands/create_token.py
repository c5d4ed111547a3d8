from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from tokens.models import Scope, Token


def days(text: str) -> datetime:
    """ "90d" as the moment 90 days from now."""
    if not (text.endswith("d") and text[:-1].isdigit() and 0 < int(text[:-1]) <= 36500):
        raise ArgumentTypeError(f"expected a number of days such as 90d, found {text!r}")
    return timezone.now() + timedelta(days=int(text[:-1]))


class Command(BaseCommand):
    help = "Makes an API token and prints it: the only time that it can be seen."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user name of whom the token speaks for")
        parser.add_argument("--name", default="command line", help="what it is for, as the admin lists it")
        parser.add_argument(
            "--scope", action="append", choices=Scope.values, help="may be repeated; without it: all of them"
        )
        parser.add_argument("--expires", type=days, metavar="90d", help="without it the token does not expire")

    def handle(self, *args: Any, **options: Any) -> None:
        user = get_user_model().objects.filter(username=options["user"]).first()
        if user is None:
            raise CommandError(
                f"There is no user named {options['user']!r}. Make one in the admin or with createsuperuser."
            )
        scopes = options["scope"] or list(Scope.values)
        _row, secret = Token.objects.issue(
            user=user, name=options["name"], scopes=scopes, expires_at=options["expires"]
        )
        self.stdout.write(secret)
