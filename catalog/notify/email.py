"""A CloudEvent by e-mail: a text for people in Indonesian and English, the event as attachment."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any

from catalog.clock import Clock, utc_now
from catalog.errors import PublishError, TransientSourceError
from catalog.messages import LANGS, text
from catalog.notify.cloudevent import encode
from catalog.response_settings import EmailChannel
from catalog.secrets import resolve


def send(channel: EmailChannel, body: Mapping[str, Any], *, clock: Clock = utc_now) -> None:
    """Deliver to all; TransientSourceError when another try may help, else PublishError."""
    mail = compose(channel, body, clock=clock)
    try:
        with _connected(channel) as server:
            if channel.username is not None and channel.password is not None:
                server.login(channel.username, resolve(channel.password))
            refused = server.send_message(mail)
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPNotSupportedError) as error:
        raise PublishError(type(error).__name__, where=channel.name) from None
    except smtplib.SMTPResponseException as error:
        kind = PublishError if 500 <= error.smtp_code < 600 else TransientSourceError
        raise kind(f"SMTP {error.smtp_code}", where=channel.name) from None
    except (OSError, smtplib.SMTPException) as error:
        raise TransientSourceError(type(error).__name__, where=channel.name) from None
    if refused:  # the others have it: to send again would be to send it twice
        raise PublishError(f"{len(refused)} of {len(channel.to)} refused", where=channel.name)


def _connected(channel: EmailChannel) -> smtplib.SMTP:
    context = ssl.create_default_context()
    if channel.security == "tls":
        return smtplib.SMTP_SSL(channel.host, channel.port, timeout=channel.timeout_seconds, context=context)
    server = smtplib.SMTP(channel.host, channel.port, timeout=channel.timeout_seconds)
    if channel.security == "starttls":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def compose(channel: EmailChannel, body: Mapping[str, Any], *, clock: Clock = utc_now) -> EmailMessage:
    """Return the letter. Its Message-ID is of the event, so that mail programs show a repeat once."""
    said: dict[str, dict[str, str]] = body.get("data", {}).get("teks") or {}
    mail = EmailMessage()
    mail["From"], mail["To"] = channel.sender, ", ".join(channel.to)
    titles = [said.get(lang, {}).get("judul", "") for lang in LANGS]
    mail["Subject"] = " ".join((titles[0] or text("notify.email.subject", "id")).split())
    mail["Date"] = format_datetime(clock())
    mail["Message-ID"] = f"<{body['id']}@{channel.sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    parts = [
        f"{said[lang].get('judul', '')}\n\n{said[lang].get('isi', '')}" for lang in LANGS if lang in said
    ]
    mail.set_content("\n\n---\n\n".join(parts) or text("notify.email.subject", "id"))
    mail.add_attachment(
        encode(body), maintype="application", subtype="cloudevents+json", filename="cloudevent.json"
    )
    return mail
