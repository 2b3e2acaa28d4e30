"""`satudata notify`: try the channels, see what was sent and what still waits."""

from __future__ import annotations

import click

from catalog.clock import utc_now
from catalog.errors import NotFoundError, SatuDataError
from catalog.messages import LANGS, text
from catalog.notify.cloudevent import PREFIX, CloudEvent, stable_id
from catalog.notify.deliver import deliver, send
from cli.app import App, Command, Group, json_option, pass_app


@click.group(cls=Group)
def notify() -> None:
    """Channels and notices."""


@notify.command("test", cls=Command)
@click.argument("channels", nargs=-1)
@json_option
@pass_app
def test(app: App, channels: tuple[str, ...]) -> None:
    """Send a harmless notice now through all channels, or those named; say what each answered."""
    known = {channel.name: channel for channel in app.settings.response.notify}
    for name in channels:
        if name not in known:
            there = ", ".join(known) or "-"
            raise NotFoundError(name, hint=app.text("cli.notify.channels", known=there))
    rows = []
    for name in channels or tuple(known):
        try:
            send(known[name], _trial().as_dict())
            rows.append({"channel": name, "state": "delivered", "reason": ""})
        except SatuDataError as error:
            rows.append({"channel": name, "state": "failed", "reason": error.message(app.lang)})
    app.show(rows, ("channel", "state", "reason"), empty="cli.notify.none")
    if any(row["state"] == "failed" for row in rows):
        raise SystemExit(1)


def _trial() -> CloudEvent:
    now = utc_now()
    said = {
        lang: {"judul": text("respons.uji.judul", lang), "isi": text("respons.uji.isi", lang)}
        for lang in LANGS
    }
    return CloudEvent(
        id=stable_id("uji", now.isoformat()), source="urn:satudata-geo:respons-cepat", type=f"{PREFIX}.uji",
        subject="uji", time=now, data={"uji": True, "teks": said},
    )  # fmt: skip


@notify.command("list", cls=Command)
@json_option
@pass_app
def list_(app: App) -> None:
    """Show notices, newest first: delivered, waiting, given up."""
    rows = [
        {
            "event": one.event_id, "subject": str(one.body.get("subject", "")), "channel": one.channel,
            "state": one.state.value, "attempts": one.attempts, "reason": one.reason,
            "created": one.created.isoformat(timespec="seconds"),
        }
        for one in app.catalog.outbox.list()
    ]  # fmt: skip
    app.show(rows, ("subject", "channel", "state", "attempts", "created", "reason"))


@notify.command("send", cls=Command)
@json_option
@pass_app
def send_(app: App) -> None:
    """Send what waits and is due, now."""
    sent, failed = deliver(app.catalog, app.settings.response)
    app.show([{"delivered": sent, "failed": failed}], ("delivered", "failed"))
