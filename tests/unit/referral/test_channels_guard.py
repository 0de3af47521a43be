"""Every hostile URL and address is refused, with its reason; honest ones pass."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.referral.channels.guard import (
    REMEDIES,
    Policy,
    Refusal,
    address_refusal,
    refusal,
)

POLICY = Policy()
LITERAL = Refusal.ADDRESS_LITERAL
HOSTILE_URLS = {
    "http://partner.example.nl/hook": Refusal.NOT_HTTPS,
    "ftp://partner.example.nl/": Refusal.NOT_HTTPS,
    "gopher://partner.nl:443/_POST": Refusal.NOT_HTTPS,
    "file:///etc/passwd": Refusal.MALFORMED,
    "javascript:alert(1)": Refusal.MALFORMED,
    "//partner.nl/hook": Refusal.NOT_HTTPS,
    "https://": Refusal.MALFORMED,
    "https:///etc": Refusal.MALFORMED,
    "": Refusal.MALFORMED,
    "https://127.0.0.1/": LITERAL,
    "https://127.1/": LITERAL,
    "https://2130706433/": LITERAL,
    "https://0x7f000001/": LITERAL,
    "https://0x7f.0.0.1/": LITERAL,
    "https://0177.0.0.1/": LITERAL,
    "https://017700000001/": LITERAL,
    "https://127.0.0.0x1/": LITERAL,
    "https://127.0.0.1./": LITERAL,
    "https://0/": LITERAL,
    "https://0x/": LITERAL,
    "https://169.254.169.254/latest/meta-data": LITERAL,
    "https://0xA9FEA9FE/": LITERAL,
    "https://10.0.0.1/": LITERAL,
    "https://8.8.8.8/": LITERAL,
    "https://1.2.3.256/": LITERAL,
    "https://[::1]/": LITERAL,
    "https://[::ffff:127.0.0.1]/": LITERAL,
    "https://[0:0:0:0:0:ffff:7f00:1]/": LITERAL,
    "https://[fe80::1%25eth0]/": LITERAL,
    "https://[2a00:1450::1]/": LITERAL,
    "https://[::1/": Refusal.MALFORMED,
    "https://[v1.partner.nl]/": LITERAL,
    "https://[v1.partner.nl]:8443/": LITERAL,
    "https://localhost/": Refusal.NO_PUBLIC_NAME,
    "https://LOCALHOST/": Refusal.NO_PUBLIC_NAME,
    "https://localhost./": Refusal.MALFORMED,
    "https://a.localhost/": Refusal.NO_PUBLIC_NAME,
    "https://localhost.localdomain/": Refusal.NO_PUBLIC_NAME,
    "https://printer.local/": Refusal.NO_PUBLIC_NAME,
    "https://metadata.google.internal/": Refusal.NO_PUBLIC_NAME,
    "https://kubernetes.default.svc/": Refusal.NO_PUBLIC_NAME,
    "https://db.meldpunt.svc.cluster.local/": Refusal.NO_PUBLIC_NAME,
    "https://router.home.arpa/": Refusal.NO_PUBLIC_NAME,
    "https://1.0.0.127.in-addr.arpa/": Refusal.NO_PUBLIC_NAME,
    "https://wiki.corp/": Refusal.NO_PUBLIC_NAME,
    "https://abc.onion/": Refusal.NO_PUBLIC_NAME,
    "https://intranet/": Refusal.NO_PUBLIC_NAME,
    "https://user:pass@partner.nl/": Refusal.USERINFO,
    "https://partner.nl@127.0.0.1/": Refusal.USERINFO,
    "https://@partner.nl/": Refusal.USERINFO,
    "https://127.0.0.1\\@partner.nl/": Refusal.MALFORMED,
    "https://partner.nl\\.evil.nl/": Refusal.MALFORMED,
    "https://partner.nl#@127.0.0.1/": Refusal.FRAGMENT,
    "https://partner.nl/#": Refusal.FRAGMENT,
    "https://partner.nl:22/": Refusal.PORT,
    "https://partner.nl:6379/": Refusal.PORT,
    "https://partner.nl:0/": Refusal.PORT,
    "https://partner.nl:99999/": Refusal.MALFORMED,
    "https://partner.nl:/": Refusal.MALFORMED,
    "https://partner.nl:443:80/": Refusal.MALFORMED,
    "https://partner.nl:-1/": Refusal.MALFORMED,
    "https://part ner.nl/": Refusal.MALFORMED,
    " https://partner.nl/": Refusal.MALFORMED,
    "https://partner.nl/\r\nX-Header: 1": Refusal.MALFORMED,
    "https://partner.nl/\thook": Refusal.MALFORMED,
    "https://partner.nl\x00.evil.nl/": Refusal.MALFORMED,
    "https://①②⑦.0.0.1/": Refusal.MALFORMED,
    "https://ⓛocalhost/": Refusal.MALFORMED,
    "https://partner。nl/": Refusal.MALFORMED,
    "https://%31%32%37.0.0.1/": LITERAL,
    "https://local%68ost.nl/": Refusal.MALFORMED,
    "https://-partner.nl/": Refusal.MALFORMED,
    "https://partner..nl/": Refusal.MALFORMED,
    "https://partner_system.nl/": Refusal.MALFORMED,
    f"https://{'a' * 64}.nl/": Refusal.MALFORMED,
    f"https://{'a.' * 130}nl/": Refusal.MALFORMED,
    f"https://partner.nl/{'a' * 2048}": Refusal.TOO_LONG,
}
HOSTILE_ADDRESSES = {
    "0.0.0.0": Refusal.UNSPECIFIED,
    "0.1.2.3": Refusal.UNSPECIFIED,
    "::": Refusal.UNSPECIFIED,
    "127.0.0.1": Refusal.LOOPBACK,
    "127.255.255.254": Refusal.LOOPBACK,
    "::1": Refusal.LOOPBACK,
    "10.0.0.1": Refusal.PRIVATE,
    "172.16.0.1": Refusal.PRIVATE,
    "172.31.255.255": Refusal.PRIVATE,
    "192.168.1.1": Refusal.PRIVATE,
    "fc00::1": Refusal.PRIVATE,
    "fdff::1": Refusal.PRIVATE,
    "fec0::1": Refusal.PRIVATE,
    "100.64.0.1": Refusal.SHARED,
    "100.127.255.255": Refusal.SHARED,
    "169.254.1.1": Refusal.LINK_LOCAL,
    "fe80::1": Refusal.LINK_LOCAL,
    "fe80::1%eth0": Refusal.LINK_LOCAL,
    "2a00:1450::1%eth0": Refusal.LINK_LOCAL,
    "169.254.169.254": Refusal.METADATA,
    "169.254.170.2": Refusal.METADATA,
    "100.100.100.200": Refusal.METADATA,
    "168.63.129.16": Refusal.METADATA,
    "192.0.0.192": Refusal.METADATA,
    "fd00:ec2::254": Refusal.METADATA,
    "fd20:ce::254": Refusal.METADATA,
    "224.0.0.1": Refusal.MULTICAST,
    "239.255.255.250": Refusal.MULTICAST,
    "ff02::1": Refusal.MULTICAST,
    "255.255.255.255": Refusal.BROADCAST,
    "::ffff:127.0.0.1": Refusal.EMBEDDED,
    "::ffff:8.8.8.8": Refusal.EMBEDDED,
    "::ffff:0:127.0.0.1": Refusal.EMBEDDED,
    "::127.0.0.1": Refusal.EMBEDDED,
    "64:ff9b::7f00:1": Refusal.EMBEDDED,
    "64:ff9b::169.254.169.254": Refusal.EMBEDDED,
    "64:ff9b:1::a00:1": Refusal.EMBEDDED,
    "2002:7f00:1::": Refusal.EMBEDDED,
    "2002:a9fe:a9fe::1": Refusal.EMBEDDED,
    "2001:0:53aa:64c:0:0:80ff:fffe": Refusal.EMBEDDED,
    "2a00:1450::5efe:10.0.0.1": Refusal.EMBEDDED,
    "2a00:1450::200:5efe:127.0.0.1": Refusal.EMBEDDED,
    "192.0.0.1": Refusal.RESERVED,
    "192.0.2.1": Refusal.RESERVED,
    "192.88.99.1": Refusal.RESERVED,
    "198.18.0.1": Refusal.RESERVED,
    "198.51.100.7": Refusal.RESERVED,
    "203.0.113.9": Refusal.RESERVED,
    "240.0.0.1": Refusal.RESERVED,
    "100::1": Refusal.RESERVED,
    "2001:db8::1": Refusal.RESERVED,
    "2001:10::1": Refusal.RESERVED,
    "3fff::1": Refusal.RESERVED,
    "5f00::1": Refusal.RESERVED,
    "4000::1": Refusal.RESERVED,
    "partner.nl": Refusal.MALFORMED,
    "127.1": Refusal.MALFORMED,
    "010.0.0.1": Refusal.MALFORMED,
    "": Refusal.MALFORMED,
}


def test_the_corpus_is_large_enough():
    assert len(HOSTILE_URLS) + len(HOSTILE_ADDRESSES) >= 120


@pytest.mark.parametrize(("url", "reason"), HOSTILE_URLS.items())
def test_a_hostile_url_is_refused_with_its_reason(url, reason):
    assert refusal(url, POLICY) is reason
    assert REMEDIES[reason]


@pytest.mark.parametrize(("address", "reason"), HOSTILE_ADDRESSES.items())
def test_a_hostile_address_is_refused_with_its_reason(address, reason):
    assert address_refusal(address, POLICY) is reason


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.nl/hook",
        "https://hooks.partner-systeem.nl:8443/meldpunt?tenant=12",
        "https://xn--bcher-kva.nl/",
        "https://3com.nl:443/a/b;c",
        "HTTPS://Partner.NL/Hook",
        "https://0x.partner.nl/",
    ],
)
def test_an_honest_url_is_accepted(url):
    assert refusal(url, POLICY) is None


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "145.100.0.1", "100.63.255.255", "172.32.0.1", "2a00:1450:400e::200e"]
)
def test_a_public_address_is_accepted(address):
    assert address_refusal(address, POLICY) is None


@given(st.ip_addresses())
def test_nothing_that_python_calls_not_global_gets_through(address):
    refused = address_refusal(str(address), POLICY)
    assert refused is not None or (address.is_global and not address.is_multicast)


@given(st.ip_addresses(v=4))
def test_no_notation_of_an_address_gets_through(address):
    number = int(address)
    a, b, c, d = address.packed
    for host in [f"{number}", f"{number:#x}", f"{number:#o}".replace("o", ""), f"{a}.{b}.{c}.{d}",
                 f"{a}.{b}.{c * 256 + d}", f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"[::ffff:{address}]",
                 f"{a}.{number & 0xFFFFFF}", f"{a:#o}.{b}.{c}.{d}".replace("0o", "0")]:  # fmt: skip
        assert refusal(f"https://{host}/", POLICY) is not None


@given(st.text(max_size=40))
def test_no_text_makes_the_guard_fail(text):
    assert refusal(text, POLICY) is None or refusal(text, POLICY) in Refusal
    assert refusal(f"https://{text}", POLICY) in {None, *Refusal}


def test_our_own_public_networks_can_be_denied():
    policy = Policy(denied=(ipaddress.ip_network("145.100.0.0/16"),))
    assert address_refusal("145.100.3.4", policy) is Refusal.DENIED
    assert address_refusal("145.101.3.4", policy) is None


def test_the_sandbox_may_reach_this_machine_and_nothing_else():
    sandbox = Policy(allow_loopback=True)
    for url in ("http://127.0.0.1:9000/", "http://localhost:1/", "https://[::1]:5/"):
        assert refusal(url, sandbox) is None
    for address in ("127.0.0.1", "::1"):
        assert address_refusal(address, sandbox) is None
    assert refusal("http://127.1:9000/", sandbox) is not None
    assert refusal("http://10.0.0.1/", sandbox) is not None
    assert refusal("http://partner.nl/", sandbox) is Refusal.NOT_HTTPS
    assert address_refusal("10.0.0.1", sandbox) is Refusal.PRIVATE
    assert address_refusal("::ffff:127.0.0.1", sandbox) is Refusal.EMBEDDED
