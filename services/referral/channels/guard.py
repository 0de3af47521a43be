"""Where a webhook may go: never into our own network, whatever its URL or its DNS says.

Pure. `refusal` judges the text of a URL before anything is looked up; `address_refusal` judges
each address that the name has. Whoever connects must use the addresses that were judged here
(`services.referral.channels.sender`), because a second look-up may give others.
"""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import SplitResult, urlsplit

URL_CHARACTERS_MAX = 2_048
_HOST_CHARACTERS_MAX = 253
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# The last label decides: a host whose last label is a number is an IPv4 address to a URL parser,
# in decimal, octal or hexadecimal, with one to four parts.
_NUMERIC = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Names that are special (RFC 6761, 7686, 8375, 9476) or that private networks use for themselves.
_LOCAL_NAMES = (
    "localhost", "localdomain", "local", "internal", "intranet", "private", "corp", "home", "lan",
    "home.arpa", "test", "example", "invalid", "onion", "alt", "arpa", "svc", "cluster",
)  # fmt: skip


class Refusal(StrEnum):
    """Why a URL or an address is refused."""

    TOO_LONG = "too-long"
    MALFORMED = "malformed"
    NOT_HTTPS = "not-https"
    USERINFO = "userinfo"
    FRAGMENT = "fragment"
    PORT = "port"
    ADDRESS_LITERAL = "address-literal"
    NO_PUBLIC_NAME = "no-public-name"
    UNSPECIFIED = "unspecified"
    LOOPBACK = "loopback"
    PRIVATE = "private"
    LINK_LOCAL = "link-local"
    SHARED = "shared"
    METADATA = "metadata"
    MULTICAST = "multicast"
    BROADCAST = "broadcast"
    EMBEDDED = "embedded-ipv4"
    RESERVED = "reserved"
    DENIED = "denied"


REMEDIES = {
    Refusal.TOO_LONG: f"Use a URL of at most {URL_CHARACTERS_MAX} characters.",
    Refusal.MALFORMED: "Use a plain URL: https, a host name in ASCII, a path.",
    Refusal.NOT_HTTPS: "Use https.",
    Refusal.USERINFO: "Leave out user name and password; the signature proves who sends.",
    Refusal.FRAGMENT: "Leave out the part after #.",
    Refusal.PORT: "Use port 443, or another port that meldpunt allows.",
    Refusal.ADDRESS_LITERAL: "Use a host name instead of an address.",
    Refusal.NO_PUBLIC_NAME: "Use a host name of the public DNS.",
}
"""What a partner must do; addresses that are refused have one remedy for all."""
ADDRESS_REMEDY = "Let the host name lead to public addresses only."

# The first network that contains an address gives the reason, so the narrow ones stand first.
_NETWORKS = tuple(
    (ipaddress.ip_network(network), reason)
    for reason, networks in {
        Refusal.METADATA: "169.254.169.254/32 169.254.170.2/32 168.63.129.16/32 100.100.100.200/32"
        " 192.0.0.192/32 fd00:ec2::/32 fd20:ce::/32",
        Refusal.UNSPECIFIED: "0.0.0.0/8 ::/128",
        Refusal.LOOPBACK: "127.0.0.0/8 ::1/128",
        Refusal.BROADCAST: "255.255.255.255/32",
        Refusal.PRIVATE: "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
        Refusal.LINK_LOCAL: "169.254.0.0/16 fe80::/10",
        Refusal.SHARED: "100.64.0.0/10",
        Refusal.MULTICAST: "224.0.0.0/4 ff00::/8",
        # Mapped, compatible, translated (RFC 6052, 8215, 7915), 6to4 and Teredo.
        Refusal.EMBEDDED: "::ffff:0:0/96 ::ffff:0:0:0/96 ::/96 64:ff9b::/96 64:ff9b:1::/48"
        " 2002::/16 2001::/32",
        Refusal.RESERVED: "192.0.0.0/24 192.0.2.0/24 192.31.196.0/24 192.52.193.0/24"
        " 192.88.99.0/24 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4"
        " 100::/64 2001::/23 2001:db8::/32 3fff::/20 5f00::/16 2620:4f:8000::/48",
    }.items()
    for network in networks.split()
)
_PUBLIC_IPV6 = ipaddress.ip_network("2000::/3")
# ISATAP writes an IPv4 address into the last half of any prefix.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


@dataclass(frozen=True, slots=True)
class Policy:
    """What one installation allows; `allow_loopback` is for development and the sandbox only."""

    ports: tuple[int, ...] = (443, 8443)
    denied: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()
    allow_loopback: bool = False


def refusal(url: str, policy: Policy) -> Refusal | None:
    """Why the text of a URL is refused, or None; looks nothing up."""
    if len(url) > URL_CHARACTERS_MAX:
        return Refusal.TOO_LONG
    # Parsers differ in what they do with these; with none of them in it they agree.
    if not (url.isascii() and url.isprintable()) or set(url) & set(' \\"<>^`{|}'):
        return Refusal.MALFORMED
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return Refusal.MALFORMED
    if parts.netloc.rpartition("@")[1]:
        return Refusal.USERINFO
    if "#" in url:
        return Refusal.FRAGMENT
    return _authority_refusal(parts, port, policy)


def _authority_refusal(parts: SplitResult, port: int | None, policy: Policy) -> Refusal | None:
    host = (parts.hostname or "").lower()
    if parts.scheme not in {"http", "https"} or not host:
        return Refusal.NOT_HTTPS if host else Refusal.MALFORMED
    if policy.allow_loopback and _is_loopback(host):
        return None
    if parts.scheme != "https":
        return Refusal.NOT_HTTPS
    # An empty port ("host:") is read as none by one parser and refused by another.
    if parts.netloc.endswith(":"):
        return Refusal.MALFORMED
    if (443 if port is None else port) not in policy.ports:
        return Refusal.PORT
    # Brackets hold an address, of a version that may be still to come (RFC 3986); never a name.
    return Refusal.ADDRESS_LITERAL if "[" in parts.netloc else _host_refusal(host)


def _host_refusal(host: str) -> Refusal | None:
    labels = host.split(".")
    # A dot at the end only says that a name is absolute; what is before it counts.
    last = labels[-1] or (labels[-2] if len(labels) > 1 else "")
    if ":" in host or _NUMERIC.fullmatch(last):
        return Refusal.ADDRESS_LITERAL
    if len(host) > _HOST_CHARACTERS_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        return Refusal.MALFORMED
    if len(labels) == 1 or f".{host}".endswith(tuple(f".{name}" for name in _LOCAL_NAMES)):
        return Refusal.NO_PUBLIC_NAME
    return None


def address_refusal(text: str, policy: Policy) -> Refusal | None:
    """Why one resolved address is refused, or None when it is a public unicast address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return Refusal.MALFORMED
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        return Refusal.LINK_LOCAL
    if policy.allow_loopback and _is_loopback(text):
        return None
    for network, reason in _NETWORKS:
        if address in network:
            return reason
    if any(address in network for network in policy.denied):
        return Refusal.DENIED
    if isinstance(address, ipaddress.IPv6Address):
        if address not in _PUBLIC_IPV6:
            return Refusal.RESERVED
        if (int(address) >> 32) & 0xFFFF_FFFF in _ISATAP:
            return Refusal.EMBEDDED
    # What a later edition of Python's own table adds is refused without a change here.
    return None if address.is_global else Refusal.RESERVED


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address == ipaddress.IPv6Address("::1") or address in ipaddress.ip_network("127.0.0.0/8")
