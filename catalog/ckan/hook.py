"""Registers what a harvest has just published. A CKAN that is down costs a log line, no more."""

from __future__ import annotations

import logging
from typing import Protocol

from catalog.ckan.client import Register
from catalog.ckan.sync import sync
from catalog.errors import SatuDataError
from catalog.settings import Settings
from catalog.store import Catalog

log = logging.getLogger(__name__)
_TIMES = (3.0, 15.0)


class Published(Protocol):
    """What the engine tells its hooks (`harvesters.engine.notify.Published`)."""

    @property
    def datasets(self) -> tuple[str, ...]:
        """The ids that were published or changed."""
        ...


def after_run(settings: Settings, catalog: Catalog, published: Published) -> None:
    """Bring the published datasets into CKAN, where one is configured; never raises for CKAN's sake.

    One try and short waits only: what is missed here, the next `satudata ckan sync` brings.
    """
    if settings.ckan is None or not published.datasets:
        return
    try:
        with Register(settings.ckan, retries=0, times=_TIMES) as register:
            report = sync(settings, catalog, only=set(published.datasets), register=register)
    except SatuDataError as error:
        log.warning("CKAN was not brought into step, the next sync will: %s", error)
        return
    for problem in report.errors:
        log.warning("CKAN did not take %s: %s", problem.remote_id, problem.message)
