"""What reaches a socket: only judged addresses, no redirect, no endless answer, a proven name."""

import asyncio
import datetime as dt
import ssl
import time
from uuid import uuid4

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from contracts.envelope import Envelope
from services.referral.channels import guard, network
from services.referral.channels.domain import Destination, Job, Push, Try, TryProblem
from services.referral.channels.email import EmailSender, MailServer
from services.referral.channels.guard import Policy, Refusal
from services.referral.channels.keyring import KEY_BYTES, Keyring, KeySafe
from services.referral.channels.webhook import WebhookSender
from tests.component.referral.channels_world import (
    Answer,
    answering,
    mail_server,
    receiving,
)

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
SAFE = KeySafe(b"n" * KEY_BYTES)
LOOPBACK = Policy(allow_loopback=True)


def job(channel: Push = Push.WEBHOOK) -> Job:
    case = str(uuid4())
    kind = "nl.sociale-veiligheid.meldingen.case-news.v1"
    data = b'{"referral_id":"%s"}' % case.encode()
    return Job("school", channel, 1, Envelope(str(uuid4()), "urn:x", kind, NOW, case, 1, data))


def destination(url: str) -> Destination:
    return Destination("school", url, SAFE.seal("school", Keyring.new(asymmetric=False)))


def sender(policy: Policy = LOOPBACK, resolve=None, **changes) -> WebhookSender:
    values = {
        "tls": ssl.create_default_context(),
        "connections_max": 4,
        "seconds_max": 1.0,
        "answer_bytes_max": 1_000,
    }
    return WebhookSender(policy, SAFE, resolve or network.Resolver(), **(values | changes))


async def send(url: str, **changes) -> Try:
    one = sender(**changes)
    try:
        return await one.send(destination(url), job(), NOW)
    finally:
        await one.close()


@pytest.fixture
def only_the_second(monkeypatch):
    """A world in which 127.0.0.2 is a public address and 127.0.0.1 is forbidden."""

    def judged(address: str, _: Policy) -> Refusal | None:
        return None if address == "127.0.0.2" else Refusal.LOOPBACK

    monkeypatch.setattr(network, "address_refusal", judged)
    monkeypatch.setattr(guard, "_authority_refusal", lambda *_: None)


class Rebinding:
    """A DNS that tells the public address first and the forbidden one ever after."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return ["127.0.0.2"] if self.asked == 1 else ["127.0.0.1"]


async def test_a_rebinding_name_reaches_only_the_address_that_was_judged(only_the_second):
    async with (
        receiving(answering(200, connection="close"), "127.0.0.2") as public,
        receiving(host="127.0.0.1", port=public.port) as forbidden,
    ):
        resolve = Rebinding()
        one = sender(resolve=resolve)
        url = f"http://rebinding.partner.nl:{public.port}/"
        assert (await one.send(destination(url), job(), NOW)).problem is None
        assert resolve.asked == 1
        again = await one.send(destination(url), job(), NOW)
        assert again.problem is TryProblem.ADDRESS_REFUSED
        await one.close()
    assert len(public.requests) == 1
    assert public.requests[0].headers["host"] == f"rebinding.partner.nl:{public.port}"
    assert forbidden.connections == 0


async def test_one_forbidden_address_among_public_ones_refuses_the_name(only_the_second):
    async def both(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    async with receiving(host="127.0.0.2") as public:
        tried = await send(f"http://a.partner.nl:{public.port}/", resolve=both)
    assert tried.problem is TryProblem.ADDRESS_REFUSED
    assert public.connections == 0


async def test_a_name_that_leads_into_our_own_network_reaches_no_socket():
    async def inside(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    async with receiving() as internal:
        policy = Policy(ports=(internal.port,))
        url = f"https://innocent.partner.nl:{internal.port}/"
        tried = await send(url, policy=policy, resolve=inside)
        assert tried.problem is TryProblem.ADDRESS_REFUSED
        literal = await send(internal.url, policy=policy)
        assert literal.problem is TryProblem.ADDRESS_REFUSED
    assert internal.connections == 0


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_to_this_machine_is_a_failure_and_not_followed(status):
    async with receiving() as internal:
        async with receiving(answering(status, location=internal.url)) as partner:
            tried = await send(partner.url)
        assert (tried.problem, tried.http_status) == (TryProblem.REDIRECT, status)
        assert internal.connections == 0


async def test_no_proxy_of_the_environment_is_used(monkeypatch):
    async with receiving() as proxy, receiving() as partner:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert (await send(partner.url)).problem is None
    assert proxy.connections == 0


async def test_a_long_answer_is_cut_off_and_counts_by_its_status():
    async with receiving(lambda _: Answer(200, body=b"x" * 5_000_000)) as partner:
        began = time.perf_counter()
        assert (await send(partner.url)).problem is None
        assert time.perf_counter() - began < 1.0


async def test_time_is_limited_as_a_whole():
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"HTTP/1.1 200 OK\r\n" if drip.first else b"X-Drip: 1\r\n")
            drip.first = False
            await writer.drain()
            await asyncio.sleep(0.05)

    drip.first = True
    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    began = time.perf_counter()
    tried = await send(f"http://127.0.0.1:{port}/", seconds_max=0.4)
    server.close()
    assert tried.problem is TryProblem.TIMEOUT
    assert time.perf_counter() - began < 0.9


@pytest.mark.parametrize(
    ("answer", "problem"),
    [(b"", TryProblem.BROKEN), (b"nonsense\r\n\r\n", TryProblem.BROKEN)],
)
async def test_a_broken_answer_is_a_failure(answer, problem):
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(broken, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    tried = await send(f"http://127.0.0.1:{port}/")
    server.close()
    assert tried.problem is problem


async def test_nobody_there_and_no_such_name():
    async with receiving() as gone:
        port = gone.port
    assert (await send(f"http://127.0.0.1:{port}/")).problem is TryProblem.UNREACHABLE

    async def unknown(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    tried = await send("http://localhost:9/", resolve=unknown)
    assert tried.problem is TryProblem.NAME_UNKNOWN


async def test_a_hanging_dns_takes_one_thread_and_delays_nobody(monkeypatch):
    calls = []

    def slow(host: str, port: int) -> list[str]:
        calls.append(host)
        time.sleep(0.5 if host == "slow.nl" else 0.0)
        return ["127.0.0.1"]

    monkeypatch.setattr(network, "_look_up", slow)
    resolver = network.Resolver()
    waiting = [asyncio.create_task(resolver("slow.nl", 443)) for _ in range(50)]
    await asyncio.sleep(0)
    began = time.perf_counter()
    assert await resolver("good.nl", 443) == ["127.0.0.1"]
    assert time.perf_counter() - began < 0.4
    await asyncio.gather(*waiting)
    assert calls.count("slow.nl") == 1
    resolver.close()


async def test_a_name_is_looked_up_whole_and_not_below_our_own_domains(monkeypatch):
    asked = []

    def look_up(host: str, port: int, **_: object) -> list[tuple]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr("socket.getaddrinfo", look_up)
    resolver = network.Resolver()
    for host in ("partner.nl", "127.0.0.1", "::1", "localhost"):
        assert await resolver(host, 443) == ["127.0.0.1"]
    resolver.close()
    assert asked == ["partner.nl.", "127.0.0.1", "::1", "localhost"]


async def test_a_socket_of_this_machine_is_never_opened():
    backend = network.GuardedBackend(LOOPBACK, network.Resolver(), httpcore.AnyIOBackend())
    with pytest.raises(network.AddressRefused):
        await backend.connect_unix_socket("/var/run/docker.sock")


async def test_keys_that_cannot_be_opened_are_our_problem():
    async with receiving() as partner:
        one = sender()
        tried = await one.send(Destination("school", partner.url, b"broken"), job(), NOW)
        await one.close()
    assert tried.problem is TryProblem.KEYS
    assert partner.connections == 0


def certificate(folder, name: str):
    """A certificate that is its own authority, for one host name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + private)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(file)
    return server, ssl.create_default_context(cafile=file)


@pytest.mark.parametrize(
    ("name", "problem"), [("hook.partner.nl", None), ("other.partner.nl", TryProblem.TLS)]
)
async def test_the_certificate_must_be_of_the_name_and_not_of_the_address(
    tmp_path, only_the_second, name, problem
):
    async def here(host: str, port: int) -> list[str]:
        return ["127.0.0.2"]

    async def secure(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server_tls, client_tls = certificate(tmp_path, "hook.partner.nl")
    server = await asyncio.start_server(secure, "127.0.0.2", 0, ssl=server_tls)
    port = server.sockets[0].getsockname()[1]
    tried = await send(f"https://{name}:{port}/", resolve=here, tls=client_tls)
    server.close()
    assert tried.problem is problem


async def no_link(*_) -> str:
    return ""


async def mailed(sink, tls=None, seconds_max=1.0, link=no_link) -> Try:
    server = MailServer("localhost", sink.port, "meldpunt@punt.nl", tls)
    one = EmailSender(server, link, seconds_max=seconds_max)
    to = Destination("school", "loket@school.nl")
    try:
        return await one.send(to, job(Push.EMAIL), NOW)
    finally:
        await one.close()


async def test_a_notice_is_mailed():
    async with mail_server() as sink:
        assert await mailed(sink) == Try()
    assert b"Er is nieuws over een melding" in sink.messages[0]
    assert sink.receivers == ["rcpt TO:<loket@school.nl>"]


async def test_a_notice_waits_for_a_database_that_is_away():
    async def away(*_) -> str:
        raise OSError

    async with mail_server() as sink:
        assert (await mailed(sink, link=away)).problem is TryProblem.MAIL_SERVER
    assert sink.messages == []


async def test_a_notice_travels_encrypted_or_not_at_all(tmp_path):
    server_tls, client_tls = certificate(tmp_path, "localhost")
    async with mail_server(tls=server_tls) as sink:
        assert await mailed(sink, client_tls) == Try()
        assert sink.encrypted == 1
        stranger = await mailed(sink, ssl.create_default_context())
        assert stranger.problem is TryProblem.MAIL_SERVER
    async with mail_server() as plain:
        assert (await mailed(plain, client_tls)).problem is TryProblem.MAIL_SERVER
    assert (len(sink.messages), plain.messages) == (1, [])


async def test_what_a_mail_server_does_has_a_code():
    async with mail_server("refuse") as sink:
        assert (await mailed(sink)).problem is TryProblem.MAILBOX
    async with mail_server("hang") as sink:
        assert (await mailed(sink, seconds_max=0.3)).problem is TryProblem.TIMEOUT
    assert (await mailed(sink)).problem is TryProblem.MAIL_SERVER
