"""Notices: to webhooks by name, and by mail. A diagram names a target, never an address."""

import hmac
import json
import smtplib
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from koolflows.services.outside import Effect, RefusedOutside, Unavailable

__all__ = ["Mail", "Notices", "Webhooks"]

SECONDS: Final = 10.0


class Webhooks:
    """Posts JSON to configured addresses, signed (HMAC-SHA256 over the body)."""

    def __init__(self, targets: Mapping[str, str], secret: str) -> None:
        self._targets = dict(targets)
        self._secret = secret.encode()
        self._client = httpx.Client(timeout=SECONDS, follow_redirects=False)

    def __call__(self, effect: Effect) -> Mapping[str, Any]:
        """Post the effect's `body` to the target of this name."""
        return self.post(str(effect.parameters["target"]), effect.parameters["body"], effect)

    def post(self, target: str, body: object, effect: Effect) -> Mapping[str, Any]:
        """Post a body; raises `RefusedOutside` or `Unavailable`."""
        address = self._targets.get(target)
        if address is None:
            known = ", ".join(sorted(self._targets)) or "none"
            raise RefusedOutside(
                "webhook.unknown", f"There is no webhook '{target[:60]}'. Known: {known}."
            )
        content = json.dumps(
            {"key": effect.key, "process": effect.process, "body": body}, ensure_ascii=False
        ).encode()
        signature = hmac.new(self._secret, content, sha256).hexdigest()
        try:
            answer = self._client.post(
                address,
                content=content,
                headers={
                    "Content-Type": "application/json",
                    "Idempotency-Key": effect.key,
                    "X-Flows-Signature": f"sha256={signature}",
                },
            )
        except httpx.HTTPError as error:
            raise Unavailable(f"The webhook does not answer: {type(error).__name__}") from error
        if answer.is_success:
            return {"status": answer.status_code}
        if answer.status_code in _AGAIN or answer.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise Unavailable(f"The webhook answered {answer.status_code}.")
        raise RefusedOutside("webhook.refused", f"The webhook answered {answer.status_code}.")


_AGAIN: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True)
class Mail:
    """A mail server by its URL (`smtp://host:25`), and whom mails come from and go to."""

    url: str
    sender: str
    recipients: tuple[str, ...]

    def send(self, effect: Effect) -> None:
        """Send the notice; the Message-ID is the effect's key, so that a double is seen as one."""
        server = urlsplit(self.url)
        message = EmailMessage()
        message["From"], message["To"] = self.sender, ", ".join(self.recipients)
        message["Subject"] = _line(effect.parameters["subject"])
        message["Message-ID"] = f"<{effect.key}@koolflows>"
        message.set_content(str(effect.parameters["text"]))
        try:
            with smtplib.SMTP(server.hostname or "", server.port or 25, timeout=SECONDS) as smtp:
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            raise Unavailable(f"The mail server does not answer: {type(error).__name__}") from error


class Notices:
    """A notice goes to the webhook `notices` and by mail, as far as these are set up.

    Without either it stays in the process's history, which the inbox shows: the result says so.
    """

    def __init__(self, webhooks: Webhooks | None, mail: Mail | None) -> None:
        self._webhooks = webhooks
        self._mail = mail

    def __call__(self, effect: Effect) -> Mapping[str, Any]:
        """Send the notice."""
        channels = []
        if self._webhooks is not None:
            self._webhooks.post("notices", dict(effect.parameters), effect)
            channels.append("webhook")
        if self._mail is not None:
            self._mail.send(effect)
            channels.append("mail")
        return {"channels": channels or ["inbox"]}


def _line(text: object) -> str:
    return " ".join(str(text).split())[:200]
