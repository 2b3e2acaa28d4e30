"""Sends what waits in the outbox: a few quick tries at once, then slower ones by the outbox."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from typing import Any, assert_never

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from catalog.clock import Clock, utc_now
from catalog.errors import SatuDataError, TransientSourceError
from catalog.notify import email, mqtt, webhook
from catalog.notify.outbox import Notice
from catalog.response_settings import Channel, EmailChannel, MqttChannel, ResponseSettings, WebhookChannel
from catalog.store import Catalog

log = logging.getLogger(__name__)
_QUICK, _PAUSE = 3, 0.5
_AT_ONCE = 16
_SPARE = 30.0
"""Seconds beyond its own time-outs after which a channel is not waited for any longer."""


def deliver(catalog: Catalog, settings: ResponseSettings, *, clock: Clock = utc_now) -> tuple[int, int]:
    """Send every notice that is due; return how many were delivered and how many failed.

    All channels at once: one that hangs holds back no other. What failed waits in the outbox.
    """
    channels = {channel.name: channel for channel in settings.notify}
    longest = max([_patience(channel) for channel in settings.notify], default=0.0)
    sent = failed = 0
    while batch := _claimed(catalog, longest + _SPARE):
        tries = [_Try(channels.get(notice.channel), notice, clock) for notice in batch]
        until = time.monotonic() + longest
        for one in tries:
            problem = one.wait(until)
            if problem is None:
                catalog.outbox.delivered(one.notice)
                sent += 1
                continue
            gone = one.notice.channel not in channels
            catalog.outbox.failed(one.notice, problem, keep_hours=settings.notify_hours, final=gone)
            log.warning("notice %s by %s: %s", one.notice.event_id, one.notice.channel, problem)
            failed += 1
    return sent, failed


def _claimed(catalog: Catalog, lease_seconds: float) -> list[Notice]:
    batch: list[Notice] = []
    while len(batch) < _AT_ONCE and (notice := catalog.outbox.claim(lease_seconds=lease_seconds)) is not None:
        batch.append(notice)
    return batch


class _Try:
    """One notice on its way in a thread: a receiver that drips can outlast the time-outs of its sockets."""

    def __init__(self, channel: Channel | None, notice: Notice, clock: Clock) -> None:
        self.notice = notice
        self._channel, self._clock = channel, clock
        self._problem: str | None = "no answer in time"
        self._thread = threading.Thread(target=self._work, name=f"notify-{notice.channel}", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        if self._channel is None:
            self._problem = "the channel is not configured any more"
            return
        try:
            send(self._channel, self.notice.body, clock=self._clock)
            self._problem = None
        except SatuDataError as error:
            self._problem = error.detail or error.code
        except Exception as error:
            log.exception("channel %s broke", self.notice.channel)
            self._problem = type(error).__name__

    def wait(self, until: float) -> str | None:
        """Return what went wrong, None when the receiver took it."""
        self._thread.join(max(until - time.monotonic(), 0.0))
        return self._problem


def _patience(channel: Channel) -> float:
    return _QUICK * (3 * channel.timeout_seconds + _PAUSE * 4)


def send(channel: Channel, body: Mapping[str, Any], *, clock: Clock = utc_now) -> None:
    """Send one body now, with quick retries of what is passing; raises what the last try raised."""
    for attempt in Retrying(
        stop=stop_after_attempt(_QUICK),
        wait=wait_exponential(multiplier=_PAUSE, max=4),
        retry=retry_if_exception_type(TransientSourceError),
        reraise=True,
    ):
        with attempt:
            _once(channel, body, clock)


def _once(channel: Channel, body: Mapping[str, Any], clock: Clock) -> None:
    match channel:
        case WebhookChannel():
            webhook.send(channel, body, clock=clock)
        case MqttChannel():
            mqtt.send(channel, body)
        case EmailChannel():
            email.send(channel, body, clock=clock)
        case _:
            assert_never(channel)
