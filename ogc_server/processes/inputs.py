"""What the input models of all processes share: JSON Schema for clients, strict checks that name the field.

Messages never repeat a value: what is asked may tell of persons.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from catalog.settings import Settings
from ogc_server.errors import ParameterError

MAX_POINTS = 10_000
MAX_ROWS = 200_000

type GeoJson = dict[str, Any]
type Row = dict[str, Any]
Year = Annotated[int, Field(ge=1900, le=2999)]


class Inputs(BaseModel):
    """Base of all inputs: unknown names are errors."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    def check(self) -> None:
        """Raise ParameterError for what no schema can say."""

    def check_here(self, settings: Settings, *, later: bool) -> None:
        """Raise ParameterError for what this server does not take, or not at once (`later`: as a job)."""

    def one_of(self, *names: str) -> str:
        """Return which one of some inputs is given; ParameterError unless it is exactly one."""
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            where = f"inputs.{given[1] if given else names[0]}"
            raise ParameterError("process.input.one", where, names=", ".join(names))
        return given[0]


_KEYS = {
    "missing": "missing", "extra_forbidden": "unknown", "literal_error": "choice",
    "dict_type": "dict", "model_type": "dict", "model_attributes_type": "dict", "list_type": "list",
    "string_type": "text", "string_pattern_mismatch": "pattern",
    "bool_parsing": "truth", "bool_type": "truth",
    "too_short": "few", "string_too_short": "few", "too_long": "many", "string_too_long": "many",
    "greater_than_equal": "least", "greater_than": "above", "less_than_equal": "most", "less_than": "below",
}  # fmt: skip
"""Kinds of pydantic's errors -> our sentences; its own are English and speak of Python."""
_NUMBERS = ("int_", "float_", "finite_")
_BOUNDS = ("ge", "gt", "le", "lt", "min_length", "max_length")


def checked[M: Inputs](model: type[M], values: dict[str, Any]) -> M:
    """Return the inputs; ParameterError names the first field that is wrong, never its value."""
    try:
        made = model.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=True, include_input=False)[0]
        kind = first["type"]
        key = _KEYS.get(kind) or ("number" if kind.startswith(_NUMBERS) else "wrong")
        where = ".".join(["inputs", *(str(p)[:60] for p in first["loc"] if _is_field(p))])
        told = first.get("ctx", {})
        known = str(told.get("expected", "")) or ", ".join(model.model_fields)
        bound = next((str(told[name]) for name in _BOUNDS if name in told), "")
        raise ParameterError(
            f"process.input.{key}", where, known=known, why=first["msg"], bound=bound
        ) from None
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
