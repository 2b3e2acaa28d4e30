"""The files themselves: GDAL reads them, a full disk or a dead process leaves them whole."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fiona
import orjson
import pytest
import shapely

from catalog.errors import PublishError, StorageFullError
from catalog.model import FieldType, LayerSchema
from layers.contract import FeatureBatch, LayerStore, Query
from layers.geopackage import store as geopackage
from layers.geopackage.store import GeoPackageStore
from tests.layers.conftest import DESA, FIELDS, POINTS, TABLE, batch, publish
from tests.layers.test_store import ROW, features


def gpkg(store: LayerStore, layer: str, version: int = 1) -> Path:
    assert isinstance(store, GeoPackageStore)
    return store.root / layer / f"{version}.gpkg"


def test_gdal_reads_every_feature_with_the_same_geometry(embedded: LayerStore, desa: FeatureBatch) -> None:
    info = publish(embedded, DESA, desa, layer="batas-desa.2025")
    path = gpkg(embedded, info.layer_id)
    assert fiona.listlayers(path) == ["batas-desa.2025"]
    with fiona.open(path) as source:
        assert source.crs.to_epsg() == 4326
        assert source.schema["geometry"] == "MultiPolygon"
        assert (len(source), source.bounds) == (360, pytest.approx(info.bbox))
        read = {f.properties["_id"]: (f.properties, shapely.geometry.shape(f.geometry)) for f in source}
        box = shapely.box(107.0, -7.0, 107.1, -6.9)
        near = {f.properties["_id"] for f in source.filter(bbox=box.bounds)}
    assert desa.geometries is not None
    for feature_id, row, shape in zip(desa.ids, desa.rows, desa.geometries, strict=True):
        properties, stored = read[feature_id]
        assert {k: properties[k] for k in row} == row
        assert shapely.equals_exact(stored, shapely.force_2d(shape), 0)
    assert near == {i for i, g in zip(desa.ids, desa.geometries, strict=True) if g.envelope.intersects(box)}


def test_gdal_sees_types_tables_and_other_crs(embedded: LayerStore) -> None:
    info = publish(embedded, replace(POINTS, crs="EPSG:32748"), batch({"a": ROW}, ["POINT(704123 9236789)"]))
    with fiona.open(gpkg(embedded, info.layer_id)) as source:
        assert source.crs.to_epsg() == 32748
        kinds = dict(source.schema["properties"])
        feature = next(iter(source))
    assert [kinds[f.name].split(":")[0] for f in FIELDS] == [
        "str",
        "int",
        "float",
        "bool",
        "date",
        "datetime",
    ]
    assert (feature.properties["tanggal"], feature.properties["aktif"]) == ("2024-02-29", True)
    assert feature.properties["waktu"].startswith("2024-02-29T03:30:00")
    table = publish(embedded, TABLE, batch({"a": ROW}))
    with fiona.open(gpkg(embedded, table.layer_id), ignore_geometry=True) as source:
        assert [f.properties["nama"] for f in source] == ["Sukamaju"]


def test_the_file_is_a_geopackage_by_its_own_tables(embedded: LayerStore, desa: FeatureBatch) -> None:
    info = publish(embedded, DESA, desa)
    db = sqlite3.connect(gpkg(embedded, info.layer_id))
    try:
        assert db.execute("PRAGMA application_id").fetchone() == (0x47504B47,)
        assert db.execute("PRAGMA user_version").fetchone() == (10300,)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("PRAGMA foreign_key_check").fetchall() == []
        assert db.execute("SELECT data_type, srs_id FROM gpkg_contents").fetchall() == [("features", 4326)]
        extensions = {row[0] for row in db.execute("SELECT extension_name FROM gpkg_extensions")}
        assert extensions == {"gpkg_rtree_index", "gpkg_metadata"}
        fids = db.execute(f'SELECT min(fid), max(fid), count(*) FROM "{info.layer_id}"').fetchone()
        assert fids == (1, 360, 360)
        tree = db.execute(f'SELECT count(*) FROM "rtree_{info.layer_id}_geom"').fetchone()
        assert tree == (360,)
    finally:
        db.close()
    assert gpkg(embedded, info.layer_id).stat().st_mode & 0o222 == 0


def test_a_copy_can_be_edited_by_gdal(embedded: LayerStore, desa: FeatureBatch, tmp_path: Path) -> None:
    info = publish(embedded, DESA, desa)
    copy = tmp_path / "salinan.gpkg"
    copy.write_bytes(gpkg(embedded, info.layer_id).read_bytes())
    with fiona.open(copy, "a", layer=info.layer_id) as out:
        properties: dict[str, Any] = dict.fromkeys(out.schema["properties"])
        shape = shapely.geometry.mapping(shapely.multipolygons([shapely.box(1, 1, 2, 2)]))
        out.write({"type": "Feature", "properties": {**properties, "_id": "baru"}, "geometry": shape})
    with fiona.open(copy) as source:
        assert [f.properties["_id"] for f in source.filter(bbox=(1, 1, 2, 2))] == ["baru"]


def test_damage_is_found(embedded: LayerStore, desa: FeatureBatch) -> None:
    info = publish(embedded, DESA, desa)
    embedded.verify(info)
    for name, at in (("1.gpkg", 0.6), ("1.json", 0.5), ("1.idx", 0.5)):
        path = gpkg(embedded, info.layer_id).with_name(name)
        good = path.read_bytes()
        path.chmod(0o644)
        place = int(len(good) * at)
        path.write_bytes(
            good[:place] + bytes(b ^ 0x15 for b in good[place : place + 40]) + good[place + 40 :]
        )
        with pytest.raises(PublishError):
            embedded.verify(info)
        path.write_bytes(good[:-100])
        with pytest.raises(PublishError):
            embedded.verify(info)
        path.write_bytes(good)
    embedded.verify(info)


def test_a_reader_keeps_a_removed_version(embedded: LayerStore, desa: FeatureBatch) -> None:
    info = publish(embedded, DESA, desa)
    reader = embedded.reader(info)
    before = reader.page(Query(filter=None, bbox=(107, -7, 107.2, -6.8))).features
    embedded.remove(info.layer_id, 1)
    assert embedded.versions(info.layer_id) == []
    assert reader.page(Query(bbox=(107, -7, 107.2, -6.8))).features == before != []
    assert len(reader.page(Query(limit=360)).features) == 360
    reader.close()


def test_what_an_interrupted_finish_left_is_not_a_version(embedded: LayerStore) -> None:
    info = publish(embedded, TABLE, batch({"a": {"n": 1}}))
    folder = gpkg(embedded, info.layer_id).parent
    (folder / "2.json").write_bytes(b"half")
    (folder / "3.gpkg.part").write_bytes(b"half")
    assert embedded.versions(info.layer_id) == [1]
    assert embedded.next_version(info.layer_id) == 3
    assert isinstance(embedded, GeoPackageStore)
    assert [p.name for p in embedded.sweep()] == ["2.json", "3.gpkg.part"]
    assert embedded.leftovers() == []
    (folder / "2.json").write_bytes(b"half")
    again = publish(embedded, TABLE, batch({"a": {"n": 1}}), layer=info.layer_id)
    assert (again.version, again.checksum) == (3, info.checksum)


def test_thousands_of_layers_do_not_use_up_open_files(
    embedded: LayerStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(geopackage, "READERS_KEPT", 3)
    infos = [publish(embedded, TABLE, batch({"a": {"n": i}})) for i in range(12)]
    held = embedded.reader(infos[0])
    before = len(os.listdir("/proc/self/fd"))
    for info in infos:
        assert features(embedded, info)[0]["id"] == "a"
    assert len(os.listdir("/proc/self/fd")) - before <= 3
    assert held.page(Query()).matched == 1
    assert embedded.reader(infos[0]) is not held


CHILD = """
import sys, orjson
from pathlib import Path
from catalog.model import FieldDef, FieldType, LayerSchema
from layers.geopackage import store as geopackage
from layers.contract import FeatureBatch
from layers.geopackage.store import GeoPackageStore
schema = LayerSchema((FieldDef("n", FieldType.INTEGER), FieldDef("t", FieldType.TEXT)))
writer = GeoPackageStore(Path(sys.argv[1])).writer("besar", schema, "s")
done = writer.staged_pages()
for page in range(60):
    if f"p{page}" in done:
        continue
    ids = [f"{page:03}-{i:04}" for i in range(500)]
    writer.write(f"p{page}", FeatureBatch(ids, [{"n": i, "t": "x" * 50} for i in range(500)]))
    print(page, flush=True)
if len(sys.argv) > 3:
    sys.stdin.readline()  # nobody writes: it is killed before it finishes, however late the signal
print("finish", flush=True)
writer.finish(int(sys.argv[2]), "r")
print("done", flush=True)
"""


def child(root: Path, version: int, *wait: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(root), str(version), *wait], stdout=subprocess.PIPE, text=True,
        stdin=subprocess.PIPE, cwd=Path(__file__).resolve().parents[2],
    )  # fmt: skip


@pytest.mark.parametrize(("at", "pause"), [("0", 0.0), ("31", 0.003), ("finish", 0.0), ("finish", 0.03)])
def test_kill_at_any_moment_resumes(tmp_path: Path, at: str, pause: float) -> None:
    first = child(tmp_path, 1, *([] if at == "finish" else ["wait"]))
    assert first.stdout is not None
    assert first.stdin is not None
    for line in first.stdout:
        if line.strip() == at:
            break
    time.sleep(pause)
    first.send_signal(signal.SIGKILL)
    first.wait()
    first.stdout.close()
    first.stdin.close()
    store = GeoPackageStore(tmp_path)
    if store.versions("besar"):  # it was quicker than the signal
        assert at == "finish"
        return
    second = child(tmp_path, store.next_version("besar"))
    out, _ = second.communicate(timeout=120)
    pages = [line for line in out.split() if line.isdigit()]
    assert out.split()[-1] == "done"
    assert len(pages) < 60
    (version,) = store.versions("besar")
    reader = store.open_version("besar", version)
    assert (reader.info.count, len(reader.page(Query(limit=30_000)).features)) == (30_000, 30_000)
    assert store.stages() == []
    reader.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 3 MB, real where we may mount one."""
    folder = tmp_path / "kecil"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("small-disk: mounting a tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_what_was_staged(small_disk: Path) -> None:
    store = GeoPackageStore(small_disk)
    schema = LayerSchema(tuple(f for f in FIELDS if f.type is FieldType.TEXT))
    writer, written = store.writer("penuh", schema, "s"), 0
    pages = [batch({f"{page:03}-{i}": {"nama": "x" * 2000} for i in range(100)}) for page in range(100)]

    def fill() -> None:
        nonlocal written
        for number, page in enumerate(pages):
            writer.write(str(number), page)
            written = number + 1

    with pytest.raises(StorageFullError) as caught:
        fill()
    assert (caught.value.code, caught.value.http_status) == ("storage-full", 507)
    assert writer.staged_pages() == {str(i) for i in range(written)}
    assert writer.count() == written * 100
    writer.close()
    again = store.writer("penuh", schema, "s")
    assert again.count() == written * 100
    again.abort()
    assert list((small_disk / "penuh").iterdir()) == []


def test_a_disk_that_fills_while_finishing_leaves_no_version(small_disk: Path) -> None:
    store = GeoPackageStore(small_disk)
    good = publish(store, TABLE, batch({"a": {"n": 1}}), layer="penuh")
    writer = store.writer("penuh", TABLE, "s")
    for page in range(6):
        writer.write(str(page), batch({f"{page}-{i}": {"nama": "x" * 1000} for i in range(100)}))
    with pytest.raises(StorageFullError):
        writer.finish(2, "r")
    assert store.versions("penuh") == [1]
    assert [p.name for p in (small_disk / "penuh").iterdir() if ".part" in p.name] == []
    assert writer.count() == 600
    store.verify(good)
    writer.abort()
    store.close()


def _read_many(root: str, info: Any, out: Any) -> None:
    reader = GeoPackageStore(Path(root)).reader(info)
    out.put(len(reader.page(Query(limit=360, bbox=(90, -20, 150, 20))).features))


def test_other_processes_read_the_same_files(embedded: LayerStore, desa: FeatureBatch) -> None:
    info = publish(embedded, DESA, desa)
    context = multiprocessing.get_context("spawn")
    out = context.Queue()
    workers = [
        context.Process(target=_read_many, args=(str(gpkg(embedded, "x").parents[1]), info, out))
        for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    assert [out.get(timeout=60) for _ in workers] == [360, 360]
    for worker in workers:
        worker.join()
    assert orjson.dumps(features(embedded, info, limit=1)[0]["id"])
