"""Where a visitor comes from, and whom to believe about it."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

_HERE: Final[Networks] = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
# Who has IPv6 has at least so large a network, and could come from another address of it every time.
_V6_PREFIX: Final = 64
# Longer lists of proxies are nobody's.
_MOST_HOPS: Final = 32


@lru_cache(maxsize=16)
def networks(text: str) -> Networks:
    """The networks in an option such as ``TALLER_TRUSTED_PROXIES``.

    Raises:
        ValueError: one of them is none.
    """
    return tuple(ip_network(part) for part in text.split())


def parse(text: str) -> Address | None:
    """An address as a server or a proxy writes it, with or without a port; ``None`` if it is none."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].split("]")[0]
    elif text.count(":") == 1:
        text = text.split(":")[0]
    try:
        found = ip_address(text.split("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def among(address: Address | None, places: Networks) -> bool:
    """Whether ``address`` lies in one of the networks."""
    return address is not None and any(address in place for place in places)


def client(peer: str | None, forwarded: Sequence[str], trusted: Networks) -> Address | None:
    """Who is at the other end.

    Args:
        peer: the address that the connection comes from; ``None`` for a socket of this machine.
        forwarded: the values of the ``X-Forwarded-For`` headers, in order.
        trusted: proxies that may say for whom they ask. This machine itself is always among them.

    Returns:
        The address nearest to us that is no proxy of ours: what stands further left may be made up.
    """
    believed = _HERE + trusted
    here = parse(peer) if peer is not None else ip_address("127.0.0.1")
    if not among(here, believed):
        return here
    for hop in _hops(forwarded):
        there = parse(hop)
        if there is None:
            break
        here = there
        if not among(there, believed):
            break
    return here


def _hops(forwarded: Iterable[str]) -> list[str]:
    hops = [hop for value in forwarded for hop in value.split(",")]
    return hops[: -_MOST_HOPS - 1 : -1]


def group(address: Address | None) -> str:
    """Under what name limits are kept: the address, or its network for IPv6."""
    if isinstance(address, IPv6Address):
        return str(ip_network((address, _V6_PREFIX), strict=False))
    return str(address)
