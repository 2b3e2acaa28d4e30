"""The style language: `style` (and `styles`) of a layer in its source's file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from catalog.errors import ConfigError
from catalog.model import Localized
from catalog.sources import LocalizedText, Strict

DEFAULT = "default"
COLOUR = r"^#[0-9a-fA-F]{6}$"

Method = Literal["jenks", "quantile", "equal", "breaks", "categories"]
Palette = Literal["viridis", "cividis", "ylgnbu", "ylorrd", "okabe-ito"]


class StyleRule(Strict):
    """How a layer is drawn. Without `column` all features look alike."""

    title: LocalizedText = Field(default_factory=Localized)
    column: str | None = Field(default=None, description="Attribute that decides the colour")
    method: Method = Field(default="jenks", description="How class breaks are found")
    classes: int = Field(default=5, ge=2, le=9)
    breaks: list[float] = Field(default_factory=list, description="Inner class limits, with method: breaks")
    palette: Palette | None = Field(default=None, description="Default: viridis; okabe-ito for categories")
    color: str = Field(default="#0072b2", pattern=COLOUR, description="Colour without column")
    no_data: str = Field(default="#d9d9d9", pattern=COLOUR)
    outline: str = Field(default="#4a4a4a", pattern=COLOUR)
    width: float = Field(default=0.8, ge=0, le=20, description="Of lines and outlines, in pixels")
    radius: float = Field(default=5, gt=0, le=40, description="Of points, in pixels")
    opacity: float = Field(default=0.7, ge=0, le=1, description="Of areas")
    labels: bool = Field(default=True, description="Write the name, where there is room")

    @model_validator(mode="after")
    def _fits(self) -> StyleRule:
        if self.method == "breaks":
            if not self.breaks or sorted(set(self.breaks)) != self.breaks:
                raise ValueError("`breaks` must be numbers that grow")
        elif self.breaks:
            raise ValueError("`breaks` goes with `method: breaks`")
        return self


def rules_of(options: Mapping[str, Any]) -> dict[str, StyleRule]:
    """Return the styles that `style` and `styles` of a layer describe, by id; ConfigError names the wrong."""
    said: dict[str, Any] = {}
    if options.get("style"):
        said[DEFAULT] = options["style"]
    if isinstance(options.get("styles"), Mapping):
        said |= options["styles"]
    rules = {}
    for name, one in said.items():
        try:
            rules[str(name)] = StyleRule.model_validate(one)
        except ValidationError as error:
            first = error.errors()[0]
            where = ["style"] if name == DEFAULT and options.get("style") else ["styles", str(name)]
            place = ".".join([*where, *map(str, first["loc"])])
            raise ConfigError(f"`{place}`: {first['msg']}") from error
    return rules


def columns_of(rules: Mapping[str, StyleRule]) -> tuple[str, ...]:
    """Return the attributes that styles need in the tiles."""
    return tuple(dict.fromkeys(rule.column for rule in rules.values() if rule.column))
