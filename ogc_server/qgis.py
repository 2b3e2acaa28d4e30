"""What QGIS opens by drag and drop: a layer definition (`.qlr`), and the connections of this server."""

from __future__ import annotations

from urllib.parse import quote

from lxml import etree

from catalog.datasets import Dataset
from catalog.model import VersionInfo
from layers.crs import crs_of, epsg
from layers.geometry import type_name
from ogc_server.ask import Ask

MEDIA = "application/x-qgis-layer-definition"
XML = "application/xml"
_WKB = {"Point": "Point", "MultiPoint": "Point", "LineString": "Line", "MultiLineString": "Line"}


def as_file(name: str) -> dict[str, str]:
    """Return the header that makes a browser save under a name."""
    return {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}"}


def layer_definition(
    ask: Ask, dataset: Dataset, info: VersionInfo, qml: bytes | None = None, theme: str = ""
) -> bytes:
    """Return a QGIS layer definition that reads the collection over OGC API Features.

    `qml` is the style to draw it in, `theme` what that shows. A table is given as a layer without geometry.
    """
    key = f"{dataset.id.replace('-', '_')}_satudata"
    title = dataset.record.title.get(ask.lang) or dataset.id
    title = f"{title}: {theme}" if theme else title
    root = etree.Element("qlr")
    group = etree.SubElement(root, "layer-tree-group", expanded="1", checked="Qt::Checked", name="")
    etree.SubElement(
        group, "layer-tree-layer", id=key, name=title, checked="Qt::Checked", expanded="1",
        providerKey="OAPIF", source=data_source(ask, dataset.id),
    )  # fmt: skip
    layers = etree.SubElement(root, "maplayers")
    layer = etree.SubElement(layers, "maplayer", type="vector", geometry=_geometry(info))
    for name, value in (("id", key), ("datasource", data_source(ask, dataset.id)), ("layername", title)):
        etree.SubElement(layer, name).text = value
    etree.SubElement(layer, "abstract").text = dataset.record.description.get(ask.lang)
    etree.SubElement(layer, "provider", encoding="UTF-8").text = "OAPIF"
    _reference_system(layer, info)
    if qml is not None:
        for part in etree.fromstring(qml, etree.XMLParser(resolve_entities=False)):
            layer.append(part)
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True))


def data_source(ask: Ask, collection_id: str) -> str:
    """Return the address as QGIS's OGC API Features provider writes it."""
    url = ask.base.replace("'", "%27")
    return (
        f" pageSize='1000' pagingEnabled='true' restrictToRequestBBOX='1' srsname='OGC:CRS84' "
        f"typename='{collection_id}' url='{url}' version='OGC_API_FEATURES'"
    )


def _geometry(info: VersionInfo) -> str:
    declared = info.schema.geometry_type if info.schema else None
    if declared is None:
        return "No geometry"
    return _WKB.get(type_name(declared), "Polygon")


def _reference_system(layer: etree._Element, info: VersionInfo) -> None:
    if info.schema is None or info.schema.geometry_type is None:
        return
    system = etree.SubElement(etree.SubElement(layer, "srs"), "spatialrefsys")
    etree.SubElement(system, "wkt").text = crs_of("OGC:CRS84").to_wkt()
    etree.SubElement(system, "authid").text = "OGC:CRS84"
    etree.SubElement(system, "geographicflag").text = "true"


def connections(ask: Ask, title: str) -> bytes:
    """Return a file for QGIS's "Load" button of WFS / OGC API Features connections."""
    root = etree.Element("qgsWFSConnections", version="1.1")
    etree.SubElement(
        root, "WFS", name=title, url=ask.base + "/", version="OGC_API_FEATURES", pagingenabled="true",
        pagesize="1000", maxnumfeatures="", ignoreAxisOrientation="false", invertAxisOrientation="false",
        preferCoordinatesForWfsT11="false",
    )  # fmt: skip
    return bytes(etree.tostring(root, encoding="utf-8", xml_declaration=True, pretty_print=True))


__all__ = ["MEDIA", "XML", "as_file", "connections", "data_source", "epsg", "layer_definition"]
