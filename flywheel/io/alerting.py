"""`Alert` and `AlertSender`: a message that a person should see soon, by webhook or e-mail.

Who calls decides what is worth one and writes it into its own log; nothing is sent where neither
an address nor a recipient is set.
"""

import smtplib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from email.message import EmailMessage
from typing import Literal
from urllib.parse import unquote, urlsplit

from flywheel.errors import ConfigurationError, UnavailableError
from flywheel.io.http import HttpClient, HttpService
from flywheel.io.records import JsonObject
from flywheel.io.spelling import show_controls
from flywheel.settings import Settings
from flywheel.settings.comma_list import comma_list

__all__ = ["Alert", "AlertFormat", "AlertSender", "sender_of", "slack_payload"]

AlertFormat = Literal["json", "slack"]
_SECONDS = 10.0
_TITLE, _TEXT = 150, 2_900  # a header and a section of Slack's blocks hold no more
_NEXT = 600
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_SENDER = "flywheel@localhost"


@dataclass(frozen=True)
class Alert:
    """One message: what happened, to which workload, and what to do about it."""

    kind: str
    workload_id: str
    text: str
    next_step: str = ""
    url: str | None = None

    @property
    def title(self) -> str:
        """One line for a subject or a header."""
        return f"{self.workload_id}: {self.kind}"


@dataclass(frozen=True)
class AlertSender:
    """Send alerts to a webhook and to people's mailboxes.

    Args:
        url: webhook that takes JSON by POST.
        format: ``json``, the alert's fields, or ``slack``, what Slack's incoming webhooks take.
        recipients: e-mail addresses.
        smtp_url: ``smtp://USER:PASSWORD@HOST:PORT`` (STARTTLS where a user is given) or ``smtps``.
        sender: address that mail comes from.
    """

    url: str | None = None
    format: AlertFormat = "json"
    recipients: Sequence[str] = ()
    smtp_url: str | None = None
    sender: str = _SENDER

    @property
    def sends(self) -> bool:
        """Whether anything leaves this process."""
        return self.url is not None or bool(self.recipients)

    def send(self, alert: Alert) -> None:
        """Send one alert everywhere it should go.

        Raises:
            UnavailableError: the webhook or the mail server did not take it.
            ConfigurationError: the address of one of them is not usable.
        """
        if self.url is not None:
            payload = slack_payload(alert) if self.format == "slack" else asdict(alert)
            _post(self.url, payload)
        if self.recipients:
            _mail(self._message(alert), str(self.smtp_url))

    def _message(self, alert: Alert) -> EmailMessage:
        message = EmailMessage()
        # A header holds one line; what came from outside must not begin another.
        message["Subject"] = " ".join(f"[flywheel] {_shown(alert.title, _TITLE)}".split())
        message["From"], message["To"] = self.sender, ", ".join(self.recipients)
        next_step = f"next: {_shown(alert.next_step)}" if alert.next_step else ""
        lines = [_shown(alert.text), next_step, alert.url or ""]
        message.set_content("\n\n".join(line for line in lines if line))
        return message


def sender_of(settings: Settings) -> AlertSender:
    """Return the sender that the settings describe."""
    url, smtp = settings.alert_url, settings.alert_smtp_url
    return AlertSender(
        url=None if url is None else url.get_secret_value(),
        format=settings.alert_format,
        recipients=comma_list(settings.alert_emails),
        smtp_url=None if smtp is None else smtp.get_secret_value(),
    )


def slack_payload(alert: Alert) -> JsonObject:
    """Return an alert as Slack's incoming webhooks take it, with its markup escaped."""
    end = [f"next: {_escaped(alert.next_step, _NEXT)}"] if alert.next_step else []
    end += [f"<{alert.url}|open it>"] if alert.url else []
    # A long text gives way to the link below it.
    body = "\n".join([_escaped(alert.text, _TEXT - len("\n".join(end)) - 1), *end])
    header = {"type": "plain_text", "text": _shown(alert.title, _TITLE)}
    return {
        "text": _escaped(f"{alert.title}: {alert.text}", _TEXT),
        "blocks": [
            {"type": "header", "text": header},
            {"type": "section", "text": {"type": "mrkdwn", "text": body}},
        ],
    }


def _escaped(text: str, limit: int) -> str:
    # Cut between characters, not inside of what one is written as.
    parts, length = [], 0
    for character in _shown(text, limit):
        part = _ENTITIES.get(character, character)
        length += len(part)
        if length > limit:
            break
        parts.append(part)
    return "".join(parts)


def _shown(text: str, limit: int = _TEXT) -> str:
    return show_controls(text[:limit])[:limit]


def _post(url: str, payload: JsonObject) -> None:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ConfigurationError(
            "FLYWHEEL_ALERT_URL is not an http or https address.", next_step="correct it"
        )
    # The path of such an address is its secret: only the host is named.
    service = HttpService(
        url,
        "The webhook for alerts",
        next_step="check FLYWHEEL_ALERT_URL; it is sent again at the next look",
        hide_path=True,
    )
    with HttpClient(service, seconds=_SECONDS) as client:
        answer = client.send("POST", body=payload)
    if not answer.is_success:
        raise answer.failure()


def _mail(message: EmailMessage, smtp_url: str) -> None:
    parts = urlsplit(smtp_url)
    if parts.scheme not in {"smtp", "smtps"} or parts.hostname is None:
        raise ConfigurationError(
            "FLYWHEEL_ALERT_SMTP_URL is not an address of a mail server.",
            next_step="give smtp://HOST:PORT or smtps://USER:PASSWORD@HOST:PORT",
        )
    connect = smtplib.SMTP_SSL if parts.scheme == "smtps" else smtplib.SMTP
    try:
        with connect(parts.hostname, parts.port or 0, timeout=_SECONDS) as server:
            if parts.username is not None:
                if parts.scheme == "smtp":
                    server.starttls()
                server.login(unquote(parts.username), unquote(parts.password or ""))
            server.send_message(message)
    except (OSError, smtplib.SMTPException) as error:
        raise UnavailableError(
            f"The mail server {parts.hostname} did not take an alert: {error}",
            next_step="check FLYWHEEL_ALERT_SMTP_URL; it is sent again at the next look",
        ) from error
