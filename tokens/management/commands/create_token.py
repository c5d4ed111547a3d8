from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from ledgerkit.command_arguments import utf8
from tokens import bindable_models
from tokens.models import DEFAULT_DAYS, DEFAULT_SCOPES, Scope, Token

DEFAULT_EXPIRY = f"{DEFAULT_DAYS}d"


def expiry(text: str) -> datetime | None:
    """Return the time that "90d" means, counted in days from now; None for "never"."""
    if text == "never":
        return None
    if not (text.endswith("d") and text[:-1].isdigit() and 0 < int(text[:-1]) <= 36500):
        raise ArgumentTypeError(f"expected a number of days such as 90d, or never, found {text!r}")
    return timezone.now() + timedelta(days=int(text[:-1]))


class Command(BaseCommand):
    help = "Make an API token and print it: the only time that it can be seen."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", type=utf8, help="the user name of whom the token speaks for")
        parser.add_argument("--name", default="command line", help="what it is for, as the admin lists it")
        parser.add_argument(
            "--scope",
            action="append",
            choices=Scope.values,
            help=f"may be repeated; without it: {', '.join(DEFAULT_SCOPES)}",
        )
        parser.add_argument(
            "--workflow", action="append", type=UUID, metavar="ID", help="only for this; may be repeated"
        )
        parser.add_argument(
            "--expires",
            type=expiry,
            default=DEFAULT_EXPIRY,
            metavar="90d",
            help="when it ends; 90d unless given, or never",
        )

    def handle(self, *args: object, **options: Any) -> None:
        users = get_user_model()
        user = users._default_manager.filter(**{users.USERNAME_FIELD: options["user"]}).first()
        if user is None:
            raise CommandError(
                f"There is no user named {options['user']!r}. Make one in the admin or with createsuperuser."
            )
        scopes = options["scope"] or DEFAULT_SCOPES
        bound_to = options["workflow"] or []
        if missing := bindable_models.missing(bound_to):
            raise CommandError(f"There is no workflow {min(missing)}. The admin lists workflows with their ids.")
        try:
            _row, secret = Token.objects.issue(
                user=user, name=options["name"], scopes=scopes, expires_at=options["expires"], bound_to=bound_to
            )
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        self.stdout.write(secret)
