"""XML from strangers: parsed without entities, network or DTD, and walked by local names.

One parser for every XML answer of an upstream. A document that declares entities is refused (XXE,
billion laughs); a bare DOCTYPE, as WMS 1.1.1 carries, is accepted and ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lxml import etree

from catalog.errors import ProtocolError

type Element = etree._Element

_CONTROL = bytes(c for c in range(32) if c not in b"\t\n\r")
_CONTROL_REF = re.compile(rb"&#(?:x0*(?:[0-8BbCcEeFf]|1[0-9A-Fa-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]));")
_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_HTML = re.compile(rb"^\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.IGNORECASE | re.DOTALL)
_ABSENT = {"", "tidak ada", "none", "null", "nan", "-"}


def parse_xml(content: bytes, *, where: str = "", huge: bool = False) -> Element:
    """Parse bytes into a root element.

    Control characters and bytes in another charset than declared (both common in metadata pasted
    from office programs) are mended. `huge` lifts libxml2's limit of 10 MB per text node, for data.
    Raises ProtocolError for HTML, truncated or otherwise unreadable XML, and for declared entities.
    """
    content = content.lstrip(b"\xef\xbb\xbf \t\r\n")
    if _HTML.match(content):
        raise ProtocolError("HTML where XML was expected", where=where)
    try:
        return _parse(content, huge)
    except etree.XMLSyntaxError as first:
        try:
            return _parse(_mend(content), huge)
        except (etree.XMLSyntaxError, ValueError):
            raise ProtocolError(f"unreadable XML: {first}", where=where) from None
    except ValueError as exc:
        raise ProtocolError(str(exc), where=where) from None


def _parse(content: bytes, huge: bool) -> Element:
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, dtd_validation=False,
        huge_tree=huge, remove_comments=True, remove_pis=True,
    )  # fmt: skip
    root = etree.fromstring(content, parser)
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise ValueError("XML that declares entities is refused")
    return root


def _mend(content: bytes) -> bytes:
    content = _CONTROL_REF.sub(b"", content.translate(None, _CONTROL))
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode("cp1252", "replace")
    return _DECLARATION.sub("", text).encode("utf-8")


def local(element: Element) -> str:
    """Return the tag without its namespace ('' for comments and the like)."""
    tag = element.tag
    return tag.rsplit("}", 1)[-1] if isinstance(tag, str) else ""


def attribute(element: Element, name: str) -> str:
    """Return an attribute by local name."""
    for key, value in element.attrib.items():
        if str(key).rsplit("}", 1)[-1] == name:
            return str(value)
    return ""


def every(element: Element | None, path: str) -> Iterator[Element]:
    """Yield elements at `path`: local names with `/`; `*` any child, `**` any depth below."""
    if element is None:
        return
    head, _, rest = path.partition("/")
    if head == "**":
        name, _, tail = rest.partition("/")
        for found in element.iter():
            if found is not element and local(found) == name:
                yield from every(found, tail) if tail else (found,)
        return
    for child in element:
        if head == "*" or local(child) == head:
            yield from every(child, rest) if rest else (child,)


def first(element: Element | None, path: str) -> Element | None:
    """Return the first element at `path`, or None."""
    return next(every(element, path), None)


def own_text(element: Element | None) -> str:
    """Return all text in an element, white space folded, '' for "Tidak Ada" and its kin."""
    if element is None:
        return ""
    value = " ".join("".join(element.itertext()).split())
    return "" if value.casefold() in _ABSENT else value


def text_at(element: Element | None, path: str) -> str:
    """Return the text of the first element at `path` that has any."""
    return next((value for found in every(element, path) if (value := own_text(found))), "")
