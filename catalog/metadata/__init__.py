"""Metadata formats of other catalogues, read into `catalog.model.DatasetRecord` and written from it.

Readers: ISO 19139 (`gmd`), ISO 19115-3 (`mdb`) and Dublin Core (`csw:Record`). All match on local
names, because the namespace versions that agencies write do not agree, and all are lenient: a flaw
that still lets the record be used is noted in `ParsedMetadata.flaws` and never raised.

Writers: ISO 19139 and DCAT in JSON-LD.
"""

from __future__ import annotations

from catalog.metadata.dcat import to_dcat, to_dcat_catalog
from catalog.metadata.read import ParsedMetadata, read_metadata
from catalog.metadata.write_iso import to_iso19139
from catalog.metadata.xmlsafe import parse_xml

__all__ = ["ParsedMetadata", "parse_xml", "read_metadata", "to_dcat", "to_dcat_catalog", "to_iso19139"]
