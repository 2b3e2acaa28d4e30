"""Open the layer store that the settings name."""

from __future__ import annotations

from catalog.clock import Clock, utc_now
from catalog.errors import ConfigError
from catalog.settings import Settings
from layers.contract import LayerStore
from layers.geopackage.store import GeoPackageStore


def open_store(settings: Settings, *, clock: Clock = utc_now) -> LayerStore:
    """Return the embedded store (no `layers` URL) or the PostGIS store."""
    if settings.layers is None:
        return GeoPackageStore(settings.data_dir / "layers", clock=clock)
    if settings.layers.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        from layers.postgis.store import PostgisStore

        return PostgisStore(
            settings.layers.replace("+psycopg", "", 1), settings.data_dir / "layers", clock=clock
        )
    raise ConfigError(
        f"layers: {settings.layers.split(':')[0]}: is not a store; use postgresql:// or leave it out"
    )
