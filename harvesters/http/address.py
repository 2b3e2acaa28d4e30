"""Which network targets a source may name: never this machine or its neighbours unless allowed.

A steward's form, a redirect or a link in a metadata record must not make the server talk to
loopback, private, link-local or cloud-metadata addresses (SSRF). `harvest.allow_networks` lists the
CIDRs a deployment does allow.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from catalog.errors import ConfigError, ForbiddenAddressError, ProtocolError, TransientSourceError

type _Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_HINT = "add the network to harvest.allow_networks in satudata.yml if this target is meant"


def _embedded(address: _Address) -> list[_Address]:
    """Return the address and any IPv4 address that hides inside it."""
    found: list[_Address] = [address]
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            found.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        found += [a for a in (address.ipv4_mapped, address.sixtofour) if a is not None]
        found += list(address.teredo or ())
    return found


class AddressPolicy:
    """Decides on addresses; `allow` are CIDRs such as `127.0.0.0/8`."""

    def __init__(self, allow: Iterable[str] = ()) -> None:
        try:
            self._allow = [ipaddress.ip_network(cidr, strict=False) for cidr in allow]
        except ValueError as exc:
            raise ConfigError(str(exc), where="harvest.allow_networks") from exc

    def check_ip(self, ip: str, host: str = "") -> None:
        """Raise ForbiddenAddressError when `ip` is no public unicast address and not allowed."""
        address = ipaddress.ip_address(ip.partition("%")[0])
        if any(address in network for network in self._allow if network.version == address.version):
            return
        for one in _embedded(address):
            if not one.is_global or one.is_multicast or one.is_reserved:
                raise ForbiddenAddressError(f"{host or ip} is {ip}", where=host, hint=_HINT)

    def check_url(self, url: str, *, resolve: bool = True) -> None:
        """Check scheme and every address that the host resolves to (`resolve=False`: literals only)."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ProtocolError(f"not an http(s) address: {parts.scheme or '(none)'}:", where=parts.netloc)
        host = parts.hostname
        if not resolve:
            self._check_literal(host)
            return
        for ip in _addresses(host, parts.port or (443 if parts.scheme == "https" else 80)):
            self.check_ip(ip, host)

    def _check_literal(self, host: str) -> None:
        try:
            ipaddress.ip_address(host)
        except ValueError:
            if host == "localhost" or host.endswith(".localhost"):
                self.check_ip("127.0.0.1", host)
            return
        self.check_ip(host, host)


def _addresses(host: str, port: int) -> list[str]:
    """Resolve as the connection will do (so `127.1` or `0x7f.1` are seen for what they are)."""
    try:
        infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:
        raise ProtocolError("host name can not be encoded", where=host) from exc
    except OSError as exc:
        raise TransientSourceError(f"can not resolve the host name: {exc}", where=host) from exc
    return sorted({str(info[4][0]) for info in infos})
