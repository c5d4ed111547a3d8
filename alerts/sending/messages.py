"""Send one delivery through its channel."""

import time
from smtplib import SMTPException

from cryptography.fernet import InvalidToken
from django.conf import settings
from django.core.mail import EmailMessage, InvalidMailer, MailerDoesNotExist
from django.utils.translation import override

from alerts.models import Channel, ChannelKind, Delivery
from alerts.webhooks import signature
from alerts.webhooks.addresses import NotAllowed
from alerts.webhooks.http import NoAnswer, post

from .bodies import subject

HTTP_GONE = 410
NO_MAILER = "Django's setting MAILERS names no server for e-mail."
NO_KEY = "The address of the channel cannot be decrypted: no key in the settings fits."


class NotSent(Exception):
    """The message was not taken. `answer` is the status of the receiver's answer, if it gave one."""

    def __init__(self, error: str, answer: int | None = None, retry_after: int | None = None) -> None:
        super().__init__(error)
        self.answer, self.retry_after = answer, retry_after or 0


class Gone(NotSent):
    """The receiver answered 410: it wants no more messages."""


def send(delivery: Delivery) -> int | None:
    """Send it. Return the status of the answer, None by e-mail. Raises NotSent."""
    if delivery.channel.kind == ChannelKind.EMAIL:
        _send_mail(delivery)
        return None
    body = delivery.body.encode()
    try:
        answer = post(delivery.channel.address, _headers(delivery.channel, str(delivery), body), body)
    except (NoAnswer, NotAllowed) as error:
        raise NotSent(str(error)) from error
    except InvalidToken as error:
        raise NotSent(NO_KEY) from error
    if answer.status == HTTP_GONE:
        raise Gone("The receiver answered 410 Gone.", HTTP_GONE)
    if not 200 <= answer.status < 300:  # the class of success
        raise NotSent(f"The receiver answered {answer.status}.", answer.status, answer.retry_after)
    return answer.status


def _headers(channel: Channel, id: str, body: bytes) -> dict[str, str]:
    if channel.kind == ChannelKind.SLACK:
        return {}
    return signature.headers(channel.secret, id, int(time.time()), body)


def _send_mail(delivery: Delivery) -> None:
    with override(settings.LANGUAGE_CODE):
        mail = EmailMessage(
            subject(delivery.alert),
            delivery.body,
            to=list(delivery.channel.recipients),
            headers={"Message-ID": f"<{delivery}@alerts.pastetrader>"},
        )
    try:
        mail.send()
    except (InvalidMailer, MailerDoesNotExist) as error:
        raise NotSent(NO_MAILER) from error
    except (OSError, SMTPException) as error:
        raise NotSent(f"{type(error).__name__}: {error}"[:300]) from error
