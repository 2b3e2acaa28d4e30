"""The deployment's settings (`config/satudata.yml`), read once by the entry point and handed on.

Nothing here is read at import. Two directories rule all: `--config` and `--data`.
"""

from __future__ import annotations

import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from catalog.model import Contact, Localized
from catalog.response_settings import ResponseSettings
from catalog.sources import LocalizedText, Strict

_CLOCK = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9]"


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (OSError, ValueError, LookupError) as error:
        raise ValueError(f"unknown time zone {value!r}; write one as Asia/Jakarta") from error
    return value


def _quiet(value: str) -> str:
    if not re.fullmatch(rf"{_CLOCK}\s*-\s*{_CLOCK}", value):
        raise ValueError('must be written "HH:MM-HH:MM"')
    return value


def _network(value: str) -> str:
    ip_network(value)
    return value


class ServerSettings(Strict):
    """How the OGC server presents itself."""

    url: str | None = Field(default=None, description="Public base URL; default: as asked")
    title: LocalizedText = Field(default_factory=Localized)
    description: LocalizedText = Field(default_factory=Localized)
    contact: Contact = Field(default_factory=Contact)
    limit_default: int = Field(default=100, ge=1)
    limit_max: int = Field(default=10_000, ge=1)
    reload_seconds: float = Field(default=1.0, gt=0, le=5)
    cors_origins: list[str] = Field(default_factory=lambda: ["*"])
    trusted_proxies: list[str] = Field(default_factory=lambda: ["127.0.0.1"])


class HarvestSettings(Strict):
    """Rules for every source unless the source says otherwise."""

    contact: str = "satudata@example.go.id"
    connections_per_host: int = Field(default=2, ge=1, le=16)
    timeout_seconds: float = Field(default=120, gt=0)
    connect_timeout_seconds: float = Field(default=15, gt=0)
    retries: int = Field(default=4, ge=0, le=20)
    backoff_seconds: float = Field(default=1.0, ge=0)
    max_response_bytes: int = Field(default=512 * 2**20, gt=0)
    max_removed_percent: float = Field(default=10, ge=0, le=100)
    grace_days: float = Field(default=7, ge=0)
    lease_seconds: float = Field(default=60, gt=0)
    page_size: int = Field(default=1000, ge=1)
    allow_networks: list[Annotated[str, AfterValidator(_network)]] = Field(
        default_factory=list, description="CIDRs of private targets that sources may name"
    )
    keep_versions: int = Field(default=5, ge=1)


class SchedulerSettings(Strict):
    """When scheduled runs may start."""

    timezone: Annotated[str, AfterValidator(_time_zone)] = "Asia/Jakarta"
    quiet_hours: list[Annotated[str, AfterValidator(_quiet)]] = Field(
        default_factory=list, description='"HH:MM-HH:MM" without starts'
    )
    jitter_seconds: int = Field(default=60, ge=0)
    workers: int = Field(default=2, ge=1)


class ProcessSettings(Strict):
    """Which layers the processes work on, and how their jobs run."""

    boundaries: str = Field(default="contoh-batas-desa", description="Collection of the desa boundaries")
    boundary_code: str = Field(default="", description="Its code column; empty: the declared region code")
    boundary_name: str = Field(default="", description="Its name column; empty: found by name")
    facilities: str = Field(default="contoh-logistik", description="Collection of the facilities")
    people: str = Field(default="contoh-penerima-bantuan", description="Published counts per desa")
    events: str | list[str] = Field(
        default=["gempa", "peringatan-cuaca"],
        description="Collections of events that `kejadian` names: earthquakes (points), warnings (areas)",
    )
    roads: str = Field(default="", description="Collection of road lines; empty: distances are geodesic")
    roads_speed: str = Field(default="", description="Its column of speeds in km/h; empty: no minutes")
    roads_oneway: str = Field(default="", description="Its column of one-way; empty: all both ways")
    roads_reach_m: float = Field(default=5000, gt=0, description="Farther from a road means: no road")
    workers: int = Field(default=1, ge=0, le=16, description="Jobs at once, per server process")
    lease_seconds: float = Field(default=30, gt=0)
    keep_hours: float = Field(default=24, gt=0, description="How long jobs and their answers are kept")
    registers: str = Field(default="", description="Folder of register files for jobs; empty: none")
    public_jobs: bool = Field(default=False, description="Whether anybody may list all jobs")


type DownloadFormat = Literal[
    "gpkg", "geoparquet", "flatgeobuf", "shapefile", "geojson", "csv", "csvw", "kml"
]


def _all_formats() -> list[DownloadFormat]:
    return ["gpkg", "geoparquet", "flatgeobuf", "shapefile", "geojson", "csv", "csvw", "kml"]


class DownloadSettings(Strict):
    """Which files to take away are made ready, and how much is made while somebody waits."""

    formats: list[DownloadFormat] = Field(
        default_factory=_all_formats, description="Formats on offer; whole layers are made ready in them"
    )
    at_once: int = Field(default=20_000, ge=0, description="Features that are written during a request")
    parts_megabytes: int = Field(default=2000, ge=0, description="Room for files of parts of layers")
    field_kit: list[str] = Field(
        default_factory=list,
        description="Collections in a field kit; empty: boundaries, facilities and people of `processes`",
    )


type GridName = Literal["WebMercatorQuad", "WorldCRS84Quad"]


def _both_grids() -> list[GridName]:
    return ["WebMercatorQuad", "WorldCRS84Quad"]


class TileSettings(Strict):
    """Which tile archives are built, and with how much of the machine."""

    grids: list[GridName] = Field(
        default_factory=_both_grids, min_length=1, description="Archives per layer version, in this order"
    )
    threads: int = Field(default=2, ge=1, le=64, description="Threads of one build")
    raster_tiles: int = Field(
        default=100_000,
        ge=0,
        description="Map tiles of a raster's archive at most; 0: none is made",
    )
    raster_megabytes: int = Field(default=1000, ge=1, description="Size of one raster's archive at most")


class ViewerSettings(Strict):
    """The map viewer."""

    basemap: list[str] = Field(
        default_factory=list, description="Collections drawn below all others; empty: the boundaries"
    )
    online_basemap: str = Field(
        default="", description="XYZ address ({z} {x} {y}) of a basemap of others, such as BIG's; empty: none"
    )
    online_attribution: str = Field(default="", description="Whose basemap it is")


class CkanSettings(Strict):
    """The CKAN that we keep in step; absent means none."""

    url: str
    api_key: str = Field(description="By reference only: ${ENV} or file:PATH")
    batch: int = Field(default=50, ge=1)


class Settings(Strict):
    """All settings. Paths are absolute once loaded."""

    database: str | None = Field(default=None, description="SQLAlchemy URL; default SQLite in --data")
    layers: str | None = Field(default=None, description="postgresql://... or default: GeoPackage in --data")
    server: ServerSettings = Field(default_factory=ServerSettings)
    harvest: HarvestSettings = Field(default_factory=HarvestSettings)
    scheduler: SchedulerSettings = Field(default_factory=SchedulerSettings)
    processes: ProcessSettings = Field(default_factory=ProcessSettings)
    response: ResponseSettings = Field(default_factory=ResponseSettings)
    tiles: TileSettings = Field(default_factory=TileSettings)
    downloads: DownloadSettings = Field(default_factory=DownloadSettings)
    viewer: ViewerSettings = Field(default_factory=ViewerSettings)
    ckan: CkanSettings | None = None
    config_dir: Path = Field(default=Path("config"), exclude=True)
    data_dir: Path = Field(default=Path("data"), exclude=True)

    def database_url(self) -> str:
        """Return the catalog database's URL."""
        return self.database or f"sqlite:///{self.data_dir / 'catalog.sqlite'}"
