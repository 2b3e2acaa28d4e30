"""What happens in the world: earthquakes, warnings, failing upstreams, versions that are pruned."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from catalog.clock import utc_now
from tests.kendali import world as kendali
from tests.ogc_server.world import World
from tests.response import world as response
from tests.servers import free_port

FAIL_EVERY, ANSWER_EVERY = 25, 5


class Upstream:
    """Makes things happen: thousands of earthquakes, some answered and revised, and warnings."""

    def __init__(self, desk: response.Desk) -> None:
        self.desk = desk
        self.changes = self.answers = self.failures = 0
        self.newest = self.warning = ""

    def round(self, number: int) -> None:
        """Let an earthquake come and be revised, and replace the warnings; now and then, more than that."""
        self.desk.clock.now = now = datetime.now(UTC)
        fresh = self._quake(now, "3.9", f"{-2 - number % 60 / 10:.2f}", f"{118 + number % 97 / 10:.2f}")
        if number % ANSWER_EVERY == 0:  # one of twelve strong ones, new at first, then revised
            which = number // ANSWER_EVERY % 12
            strong = now.replace(minute=0, second=0, microsecond=0) - timedelta(minutes=10 * which + 60)
            magnitude = f"{5.4 + number // ANSWER_EVERY // 12 % 9 / 10:.1f}"
            felt = self._quake(strong, magnitude, f"-6.{80 + which}", f"107.{10 + which}")
            self.desk.feeds["gempadirasakan"] = [felt]
        for revised in (fresh, fresh | {"Magnitude": "4.1", "Dirasakan": "III uji"}):
            self.desk.feeds["autogempa"] = [revised]
            self._harvest(good=True)
        self.newest = fresh["DateTime"]
        for part in "abc":
            self.warning = f"hujan-{number}{part}"
            kendali.warn(self.desk, self.warning, f"angin-{number // 7}")
        self.changes += 5
        if number % ANSWER_EVERY == 0:
            made = self.desk.responder().run()
            self.answers += sum(one.state == "answered" for one in made)
            self.changes += len(made)
        if number % FAIL_EVERY == 0:
            url, self.desk.url = self.desk.url, f"http://127.0.0.1:{free_port()}/"
            self._harvest(good=False)
            self.desk.url = url
            self.failures += 1
            self.changes += 1

    def prune(self) -> None:
        """Remove old versions as `satudata prune` does, some of them while a reader has them open."""
        catalog, store = self.desk.catalog, self.desk.store
        for name in catalog.datasets.ids():
            for version in catalog.versions.prunable(name, self.desk.settings.harvest.keep_versions):
                catalog.versions.mark_removed(name, version, by="soak")
                store.remove(name, version)

    def _harvest(self, *, good: bool) -> None:
        state = self.desk.harvest().state.value
        if (state == "ok") != good:
            raise SystemExit(f"FAILED: a harvest ended as {state}")

    @staticmethod
    def _quake(at: datetime, magnitude: str, lat: str, lon: str) -> dict[str, Any]:
        return response.quake(
            DateTime=at.isoformat(timespec="seconds"), Magnitude=magnitude, Coordinates=f"{lat},{lon}"
        )


@contextmanager
def deployed(folder: Path, data: Path) -> Iterator[response.Desk]:
    """Make the deployment, its answers ready to be made, and BMKG on loopback."""
    desk = response.make(folder)
    response.fill(World(desk.settings, desk.catalog, desk.store), data)
    desk.clock.now = utc_now()
    with response.bmkg(desk):
        kendali.prepare(desk)
        said = desk.settings.model_dump(
            mode="json", include={"processes", "response", "server", "harvest"}, exclude_defaults=True
        )
        (folder / "config" / "satudata.yml").write_text(yaml.safe_dump(said), "utf-8")
        desk.responder().run()
        yield desk
    desk.close()
