"""What each process takes, as models: JSON Schema for clients, strict checks that name the field.

Messages never repeat a value: what is asked may tell of persons.
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.codes import LEVELS, Level
from catalog.model import Scheme
from ogc_server.errors import ParameterError

MAX_POINTS = 10_000
MAX_PAIRS = 5_000_000
_MAX_ROWS = 200_000

type GeoJson = dict[str, Any]
type Row = dict[str, Any]
Year = Annotated[int, Field(ge=1900, le=2999)]


class Inputs(BaseModel):
    """Base of all inputs: unknown names are errors."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def check(self) -> None:
        """Raise ParameterError for what no schema can say."""

    def one_of(self, *names: str) -> str:
        """Return which one of some inputs is given; ParameterError unless it is exactly one."""
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            where = f"inputs.{given[1] if given else names[0]}"
            raise ParameterError("process.input.one", where, names=", ".join(names))
        return given[0]


class Titik(BaseModel):
    """One point and what is claimed of it."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    lon: float | str | None
    lat: float | str | None
    kode: str | int
    skema: Scheme | None = None
    vintage: Year | None = None
    toleransi_m: float = Field(default=100, ge=0, le=100_000)


class VerifikasiLokasi(Inputs):
    """One point, or a list of points."""

    lon: float | str | None = None
    lat: float | str | None = None
    kode: str | int | None = None
    skema: Scheme | None = None
    vintage: Year | None = None
    toleransi_m: float = Field(default=100, ge=0, le=100_000)
    titik: list[Titik] | None = Field(default=None, min_length=1, max_length=MAX_POINTS)

    def check(self) -> None:
        """Demand the three fields of a single point, or `titik` alone."""
        if self.titik is None:
            for name in ("lon", "lat", "kode"):
                if name not in self.model_fields_set:
                    raise ParameterError("process.input.missing", f"inputs.{name}")
            if self.kode is None:
                raise ParameterError("process.input.missing", "inputs.kode")
        elif self.model_fields_set & {"lon", "lat", "kode"}:
            raise ParameterError("process.input.one", "inputs.titik", names="titik, lon + lat + kode")

    def points(self) -> list[Titik]:
        """Return the points; what stands beside `titik` is the default of each."""
        if self.titik is not None:
            shared = {name: getattr(self, name) for name in ("skema", "vintage", "toleransi_m")}
            return [
                one.model_copy(update={k: v for k, v in shared.items() if k not in one.model_fields_set})
                for one in self.titik
            ]
        return [Titik(**{name: getattr(self, name) for name in Titik.model_fields})]


class GempaMasukan(BaseModel):
    """An earthquake."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)
    magnitudo: float = Field(gt=0, le=10)
    kedalaman_km: float = Field(ge=0, le=800)


class WilayahTerdampak(Inputs):
    """An area, an event or an earthquake."""

    area: GeoJson | None = None
    kejadian: str | None = Field(default=None, min_length=1, max_length=200)
    gempa: GempaMasukan | None = None
    mmi_minimum: float = Field(default=5, ge=1, le=10)

    def check(self) -> None:
        """Demand exactly one of the three."""
        self.one_of("area", "kejadian", "gempa")


class BantuanTerdekat(Inputs):
    """From where, which kinds, how many."""

    asal: GeoJson | Annotated[list[str], Field(min_length=1, max_length=MAX_POINTS)]
    jenis: list[str] = Field(default_factory=list, max_length=100)
    k: int = Field(default=3, ge=1, le=1000)


class Kebutuhan(BaseModel):
    """How much of what a desa needs; without lon/lat a point inside of the desa is taken."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    kode: str = Field(min_length=1)
    item: str = Field(min_length=1)
    jumlah: int = Field(ge=0, lt=2**31)
    lon: float | None = Field(default=None, ge=-180, le=180)
    lat: float | None = Field(default=None, ge=-90, le=90)
    bobot: float = Field(default=1, gt=0, lt=1e9)


class Stok(BaseModel):
    """How much of what a warehouse has."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    gudang: str = Field(min_length=1)
    item: str = Field(min_length=1)
    jumlah: int = Field(ge=0, lt=2**31)
    lon: float | None = Field(default=None, ge=-180, le=180)
    lat: float | None = Field(default=None, ge=-90, le=90)
    status: str = "dirilis"


class Biaya(BaseModel):
    """What a unit costs from a warehouse to a desa, in any unit (minutes, rupiah)."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    gudang: str
    kode: str
    biaya: float = Field(ge=0, lt=1e15)


class AlokasiBantuan(Inputs):
    """Needs, stocks and the aim."""

    kebutuhan: list[Kebutuhan] = Field(min_length=1, max_length=50_000)
    stok: list[Stok] = Field(min_length=1, max_length=50_000)
    tujuan_fungsi: Literal["adil", "jarak"] = "adil"
    biaya: list[Biaya] | None = Field(default=None, max_length=_MAX_ROWS)
    maks_biaya: float | None = Field(default=None, ge=0)

    def check(self) -> None:
        """Refuse what would not fit in memory: warehouses times desa, summed over the items."""
        stocks = Counter(one.item for one in self.stok)
        if sum(stocks[one.item] for one in self.kebutuhan) > MAX_PAIRS:
            raise ParameterError("process.input.large", "inputs.kebutuhan", most=MAX_PAIRS)


class Nilai(BaseModel):
    """A column of A and its counterpart in B, and how far apart they may be."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    a: str
    b: str | None = None
    toleransi: float = Field(default=0, ge=0)
    toleransi_relatif: float = Field(default=0, ge=0)


class Kunci(BaseModel):
    """The column of the region code on each side."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)
    a: str
    b: str


class Rekonsiliasi(Inputs):
    """Two tables: collections of this server, or rows."""

    a: str | Annotated[list[Row], Field(min_length=1, max_length=_MAX_ROWS)]
    b: str | Annotated[list[Row], Field(min_length=1, max_length=_MAX_ROWS)]
    kunci: str | Kunci
    nilai: list[str | Nilai] = Field(default_factory=list, max_length=50)
    nama: str | Kunci | None = None
    vintage_a: Year | None = None
    vintage_b: Year | None = None
    skema_a: Scheme | None = None
    skema_b: Scheme | None = None
    semua: bool = False


class Agregasi(Inputs):
    """Rows of a register extract (only the declared columns are read) or a public collection."""

    data: str | Annotated[list[Row], Field(min_length=1, max_length=_MAX_ROWS)]
    kode: str = "kode"
    menurut: list[str] = Field(default_factory=list, max_length=3)
    irisan: str | None = None
    bobot: str | None = None
    skema: Scheme = "kemendagri"
    tingkat: list[Level] = Field(default_factory=lambda: list(LEVELS), min_length=1)
    ambang: int = Field(default=5, ge=5, le=1000)
    pembulatan: int = Field(default=1, ge=1, le=1000)


class StatistikZonal(Inputs):
    """A raster collection, which desa, and the breaks of the classes."""

    raster: str = Field(min_length=1)
    kode: list[str] = Field(default_factory=list, max_length=MAX_POINTS)
    band: int = Field(default=1, ge=1)
    batas_kelas: list[float] = Field(default_factory=list, max_length=50)


_KEYS = {"missing": "missing", "extra_forbidden": "unknown", "literal_error": "choice"}
_NUMBERS = ("int_", "float_", "greater_", "less_", "finite_", "int_from_float")


def checked[M: Inputs](model: type[M], values: dict[str, Any]) -> M:
    """Return the inputs; ParameterError names the first field that is wrong, never its value."""
    try:
        made = model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=True, include_input=False)[0]
        kind = first["type"]
        key = _KEYS.get(kind) or ("number" if kind.startswith(_NUMBERS) else "wrong")
        where = ".".join(["inputs", *(str(p)[:60] for p in first["loc"] if _is_field(p))])
        known = str(first.get("ctx", {}).get("expected", "")) or ", ".join(model.model_fields)
        raise ParameterError(f"process.input.{key}", where, known=known, why=first["msg"]) from None
    made.check()
    return made


def _is_field(part: int | str) -> bool:
    """Tell a field from what pydantic adds for the branches of a union: `list[...]`, `str`, `Kunci`."""
    if isinstance(part, int):
        return True
    return not (part in {"str", "int", "float"} or "[" in part or "-" in part or part[:1].isupper())


def schema_of(model: type[Inputs]) -> dict[str, Any]:
    """Return the JSON Schema of a model with its references filled in and no titles."""
    whole = model.model_json_schema()
    definitions = whole.pop("$defs", {})

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return plain(definitions[node["$ref"].rpartition("/")[2]])
        kept = {k: v for k, v in node.items() if k not in ("title", "description") or isinstance(v, dict)}
        return {key: plain(value) for key, value in kept.items()}

    made: dict[str, Any] = plain(whole)
    return made
