"""Settings of respons-cepat: which events are answered, what is needed, and who is told.

A part of `catalog.settings`, apart because it is read by people who set up an emergency desk.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from catalog.model import Access
from catalog.sources import Strict

Severity = Literal["Extreme", "Severe", "Moderate", "Minor", "Unknown"]
Urgency = Literal["Immediate", "Expected", "Future", "Past", "Unknown"]
Certainty = Literal["Observed", "Likely", "Possible", "Unlikely", "Unknown"]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
Reference = Annotated[str, Field(pattern=r"^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|file:.+)$")]
"""A secret by reference: `${ENV}` or `file:PATH`."""


class QuakeRule(Strict):
    """Which earthquakes are answered, and when two reports are of one earthquake."""

    layer: str = Field(default="gempa", description="Collection of earthquakes; empty: none is watched")
    min_magnitude: float = Field(default=5.0, gt=0, le=10)
    max_depth_km: float = Field(default=100, ge=0, le=800)
    least_mmi: float = Field(default=5.0, ge=1, le=10, description="A desa shaken as much counts as hit")
    bbox: tuple[float, float, float, float] = Field(
        default=(94.0, -12.0, 142.0, 8.0), description="Epicentres outside are left alone: W, S, E, N"
    )
    same_seconds: float = Field(default=60, gt=0, le=3600)
    same_km: float = Field(default=100, gt=0, le=1000)


class WarningRule(Strict):
    """Which CAP warnings are answered: all lists must fit; an empty one takes all."""

    layer: str = Field(default="peringatan-cuaca", description="Collection of CAP alerts; empty: none")
    severity: list[Severity] = Field(default=["Extreme"])
    urgency: list[Urgency] = Field(default=["Immediate"])
    certainty: list[Certainty] = Field(default=["Observed", "Likely"])
    events: list[str] = Field(default_factory=list, description="Values of `peristiwa`, in any case")


class NeedRule(Strict):
    """What people in a desa that is hit need: `amount` of `item` a day, for each one counted in `per`."""

    item: str = Field(min_length=1, description="A column of stock of the facilities, `beras_kg`")
    per: str = Field(min_length=1, description="A column of the people layer, `jumlah_` may be left out")
    amount: float = Field(gt=0, description="For one of them and one day")
    days: float = Field(default=1, gt=0, le=365)
    unit: str = ""
    least_mmi: float = Field(default=1, ge=1, le=10, description="Only where the shaking was as much")


class WebhookChannel(Strict):
    """An HTTP address that gets the CloudEvent by POST, signed as Standard Webhooks say."""

    type: Literal["webhook"]
    name: Name
    url: str = Field(pattern=r"^https?://[^\s@]+$")
    secret: Reference | None = Field(default=None, description="Key of the HMAC, by reference")
    timeout_seconds: float = Field(default=10, gt=0, le=60)


class MqttChannel(Strict):
    """An MQTT 5 broker that gets the CloudEvent with QoS 1."""

    type: Literal["mqtt"]
    name: Name
    host: str
    port: int = Field(default=1883, ge=1, le=65535)
    topic: str = Field(default="satudata/respons-cepat", pattern=r"^[^#+\x00]+$")
    retain: bool = False
    tls: bool = False
    username: str | None = None
    password: Reference | None = None
    timeout_seconds: float = Field(default=10, gt=0, le=60)


class EmailChannel(Strict):
    """People who are written to, in Indonesian and English, with the CloudEvent as attachment."""

    type: Literal["email"]
    name: Name
    host: str
    port: int = Field(default=587, ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = "starttls"
    sender: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    to: list[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]] = Field(min_length=1)
    username: str | None = None
    password: Reference | None = None
    timeout_seconds: float = Field(default=20, gt=0, le=60)


Channel = Annotated[WebhookChannel | MqttChannel | EmailChannel, Field(discriminator="type")]


class ResponseSettings(Strict):
    """The answer to an event: on or off, for which events, with what, told to whom."""

    enabled: bool = Field(default=False, description="Answer events by itself")
    dry_run: bool = Field(default=False, description="Compute and note in the audit log; publish nothing")
    exercise: bool = Field(default=False, description="All is marked LATIHAN and kept apart")
    access: Access = "publik"
    max_age_hours: float = Field(default=6, gt=0, description="Older events are never answered")
    earthquake: QuakeRule = Field(default_factory=QuakeRule)
    warning: WarningRule = Field(default_factory=WarningRule)
    nearest: int = Field(default=3, ge=1, le=10, description="Facilities named for each desa")
    kinds: list[str] = Field(default_factory=list, description="Of these kinds; empty: all")
    max_distance_km: float | None = Field(default=500, gt=0, description="Farther stock is not sent")
    needs: list[NeedRule] = Field(default_factory=list)
    plan_targets: int = Field(default=200, ge=10, le=5000, description="More are planned by larger region")
    keep_days: int | None = Field(
        default=365, ge=1, description="Answers unchanged for longer are taken away; empty: never"
    )
    notify: list[Channel] = Field(default_factory=list)
    notify_hours: float = Field(default=24, gt=0, description="How long an undelivered notice is tried")

    @model_validator(mode="after")
    def _names_once(self) -> Self:
        names = [channel.name for channel in self.notify]
        if len(set(names)) != len(names):
            raise ValueError("two channels of `notify` have one name")
        items = [need.item for need in self.needs]
        if len(set(items)) != len(items):
            raise ValueError("two `needs` are of one item")
        return self
