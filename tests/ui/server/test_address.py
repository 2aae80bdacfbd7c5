"""Who is at the other end: proxies are believed only where they are ours."""

import pytest

from core.ui.server.address import among, client, group, networks, parse

PROXIES = networks("10.0.0.0/8 2001:db8::1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "who"),
    [
        # Nobody in between, or somebody who is no proxy of ours and says anything.
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        # A proxy of ours; what the visitor put in front of its word is not believed.
        ("10.0.0.5", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["1.1.1.1", "198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("2001:db8::1", ["2001:db8:5::9"], "2001:db8:5::9"),
        # Another program of this machine is a proxy of ours, however the address is written.
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("::1", ["[2001:db8:5::9]:4711"], "2001:db8:5::9"),
        (None, ["198.51.100.1"], "198.51.100.1"),
        (None, [], "127.0.0.1"),
        # The server under us has put the nearest forwarded address in place of this machine's.
        ("10.0.0.5", ["198.51.100.1, 10.0.0.5"], "198.51.100.1"),
        # Nonsense ends the chain at the last address that is known.
        ("10.0.0.5", ["<script>, 10.0.0.6"], "10.0.0.6"),
        ("10.0.0.5", [""], "10.0.0.5"),
    ],
)
def test_the_nearest_address_that_is_no_proxy_of_ours(peer: str | None, forwarded: list[str], who: str) -> None:
    assert str(client(peer, forwarded, PROXIES)) == who


def test_who_is_not_known_is_not_taken_for_this_machine() -> None:
    assert client("nonsense", ["127.0.0.1"], PROXIES) is None
    assert not among(None, networks("0.0.0.0/0"))


def test_a_long_list_is_not_read_to_its_end() -> None:
    assert str(client("10.0.0.5", ["198.51.100.1" + ", 10.0.0.6" * 5000], PROXIES)) == "10.0.0.6"


def test_one_ipv6_network_is_one_visitor() -> None:
    assert group(parse("2001:db8:5::9")) == group(parse("2001:db8:5::abcd")) == "2001:db8:5::/64"
    assert group(parse("2001:db8:5:1::9")) != group(parse("2001:db8:5::9"))
    assert group(parse("198.51.100.1")) == group(parse("::ffff:198.51.100.1")) == "198.51.100.1"
