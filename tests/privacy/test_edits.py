"""Stewards: what they write is published, too; and what they accept in spite of the guard shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from catalog.model import RunState
from cli.main import main
from tests.privacy.test_files import as_csv
from tests.privacy.watch import NIK, PHONE, Watched, persons


@pytest.mark.parametrize(
    "words",
    [f"description.id=rumah {NIK}", f"lineage=hubungi {PHONE}", f"{NIK}=x", f"keywords=[banjir, '{NIK}']"],
)
def test_an_edit_with_a_person_is_refused(words: str, watched: Watched, tmp_path: Path) -> None:
    path = as_csv(tmp_path / "pos", [{"kode": "1"}])
    dataset = watched.layer(watched.take("file", str(path), {"remote": "*"}))
    for arguments in ([words], ["frekuensi=Tahunan", "--note", f"surat ibu {NIK}"]):
        done = CliRunner().invoke(
            main, ["--data", str(watched.settings.data_dir), "--config", str(watched.folder), "--lang", "en",
                   "dataset", "edit", dataset, *arguments],
        )  # fmt: skip
        assert done.exit_code != 0
        assert "personal data" in done.output
        assert NIK not in done.output
    watched.nowhere(NIK, PHONE)


def test_an_office_s_phone_may_stand_in_the_contact(watched: Watched, tmp_path: Path) -> None:
    path = as_csv(tmp_path / "pos", [{"kode": "1"}])
    dataset = watched.layer(watched.take("file", str(path), {"remote": "*"}))
    done = CliRunner().invoke(
        main, ["--data", str(watched.settings.data_dir), "--config", str(watched.folder), "dataset", "edit", dataset,
               f"contact={{organisation: Dinas, phone: '{PHONE}'}}"],
    )  # fmt: skip
    assert done.exit_code == 0, done.output


def test_the_watch_sees_what_is_published(watched: Watched, tmp_path: Path) -> None:
    """A watch that can not fail is none: a steward accepts persons, and every place is found."""
    run = watched.take("file", str(as_csv(tmp_path / "warga", persons())), {"remote": "*"})
    assert run.state is RunState.HELD
    watched.nowhere()
    watched.catalog.versions.accept(watched.layer(run), 1, by="uji")
    with pytest.raises(AssertionError, match="planted data stands in"):
        watched.nowhere()
