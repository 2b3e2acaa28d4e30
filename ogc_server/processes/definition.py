"""What a process is: id, inputs, work, examples. Descriptions are made from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from analysis.result import MEDIA, Result
from catalog.messages import Lang, text
from ogc_server.processes.desk import Bench
from ogc_server.processes.inputs import Inputs, schema_of

VERSION = "1.0.0"
OUTPUT = "hasil"
FORMS = ("geojson", "csv", "parquet")
"""What an answer may be taken as, beside JSON."""
CONTROL = ("sync-execute", "async-execute", "dismiss")

ROW = {"type": "object"}
ROWS = {"type": "array", "items": ROW}
NUMBER = {"type": "number", "nullable": True}
TEXT = {"type": "string", "nullable": True}


def object_of(**properties: Any) -> dict[str, Any]:
    """Return the schema of an object that has all of these properties."""
    return {"type": "object", "required": list(properties), "properties": properties}


type Show = Callable[[Bench, Any, Any], Result]
"""Makes of an answer its table and where its rows are; takes the bench, the value, and the inputs (None
when a job's are forgotten)."""


@dataclass(frozen=True, slots=True)
class Process:
    """One process: its inputs (a model), its work, the schema of its one output, its table, examples.

    `examples` are real places, `samples` those of the synthetic sample; `ways` groups inputs of which a
    person uses one group, for the form (its titles are `form.<id>.<way>`).
    """

    id: str
    model: type[Inputs]
    run: Callable[[Bench, Any], Any]
    output: Mapping[str, Any]
    show: Show
    examples: Mapping[str, str] = field(default_factory=dict)
    samples: Mapping[str, str] = field(default_factory=dict)
    ways: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def title(self, lang: Lang) -> str:
        """Return its name for people."""
        return text(f"process.{self.id}.title", lang)

    def summary(self, base: str, lang: Lang) -> dict[str, Any]:
        """Return what the list of processes says of it."""
        return {
            "id": self.id, "title": self.title(lang), "description": text(f"process.{self.id}.text", lang),
            "version": VERSION, "jobControlOptions": list(CONTROL), "outputTransmission": ["value"],
        }  # fmt: skip

    def inputs(self, lang: Lang) -> dict[str, Any]:
        """Return the description of every input."""
        schema = schema_of(self.model)
        required = set(schema.get("required", ()))
        described = {}
        for name, one in schema["properties"].items():
            title, _, more = text(f"process.{self.id}.in.{name}", lang).partition(": ")
            described[name] = {
                "title": title, "description": more or title, "schema": one,
                "minOccurs": int(name in required), "maxOccurs": 1,
            }  # fmt: skip
        return described

    def outputs(self, lang: Lang) -> dict[str, Any]:
        """Return the description of the output."""
        said = text(f"process.{self.id}.out", lang)
        title = text("process.output", lang)
        others = [{"type": "string", "contentMediaType": MEDIA[form]} for form in FORMS]
        shapes = [{**self.output, "contentMediaType": MEDIA["json"]}, *others]
        return {OUTPUT: {"title": title, "description": said, "schema": {"oneOf": shapes}}}
