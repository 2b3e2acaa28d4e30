"""Telling others after a publication (CKAN sync...). They can neither fail a run nor delay it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from catalog.settings import Settings
from catalog.store import Catalog

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Published:
    """A finished run and the dataset ids it published or changed."""

    run_id: str
    source_id: str
    datasets: tuple[str, ...]


type Hook = Callable[[Settings, Catalog, Published], None]

HOOKS: list[Hook] = []
"""Called after each run that published something, in order; a program adds its own at start."""


def ckan_hook(settings: Settings, catalog: Catalog, published: Published) -> None:
    """Bring the CKAN register into step for what was published. What fails, the next sync mends."""
    from catalog.ckan import after_run  # ckanapi is imported only where a CKAN is configured

    after_run(settings, catalog, published)


def hooks_for(settings: Settings) -> list[Hook]:
    """Return the hooks that the settings ask for, and those that the program added."""
    wanted = settings.ckan is not None and settings.server.url is not None
    return [*([ckan_hook] if wanted else []), *HOOKS]


def notify(
    hooks: Sequence[Hook], settings: Settings, catalog: Catalog, published: Published, *, wait: float
) -> list[str]:
    """Call the hooks in a thread; give up waiting after `wait` seconds. Return what went wrong."""
    problems: list[str] = []

    def work() -> None:
        for hook in hooks:
            try:
                hook(settings, catalog, published)
            except Exception as exc:
                log.warning("after run %s: %s failed: %s", published.run_id, _name(hook), exc)
                problems.append(f"{_name(hook)}: {exc}")

    thread = threading.Thread(target=work, name="notify", daemon=True)
    thread.start()
    thread.join(wait)
    if thread.is_alive():
        log.warning("after run %s: a hook is still at work; not waiting for it", published.run_id)
        problems.append("still at work")
    return problems


def _name(hook: Hook) -> str:
    return getattr(hook, "__qualname__", type(hook).__name__)
