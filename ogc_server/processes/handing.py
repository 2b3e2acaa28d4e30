"""Settings on their way to a process of ours: over standard input, as a process list tells secrets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalog.settings import Settings

_FOLDERS = ("config_dir", "data_dir")


def handed(settings: Settings, **more: Any) -> dict[str, Any]:
    """Return settings as plain JSON values, beside what else the process is told."""
    folders = {name: str(getattr(settings, name)) for name in _FOLDERS}
    return {"settings": settings.model_dump(mode="json"), **folders, **more}


def taken_over(said: dict[str, Any]) -> Settings:
    """Return the settings of what `handed` made."""
    return Settings(**said["settings"], **{name: Path(said[name]) for name in _FOLDERS})
