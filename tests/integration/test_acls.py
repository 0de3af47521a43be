"""Every Kafka partner has its own name at the broker, and rights to its own topics only.

On a broker of its own, whatever servers the rest of the run uses: a broker from the environment may
check no rights at all.
"""

import asyncio
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
)
from aiokafka.helpers import create_ssl_context
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from contracts import topics
from contracts.envelope import from_headers, to_headers
from contracts.event import Catalogue
from contracts.referral import Answer, ReferralAnswered, ReferralOffer
from contracts.topics import partner_in, partner_out
from deploy.local import acls, kafka
from deploy.local.credentials import Authority, Credentials, grant, issue_partner, revoke
from deploy.local.kafka import Kafka
from deploy.local.provision import provision_topics
from deploy.local.servers import ManagedServer
from examples.partners.behaviour import Behaviour
from examples.partners.connection import Connection
from examples.partners.journal import PartnerLog
from examples.partners.kafka_partner import KafkaPartner
from tests.contracts.builders import EXAMPLES, enveloped

PROJECT = Path(__file__).parents[2]
# The name of the second begins with the name of the first.
OURS, LONGER, OTHER = "veilig", "veilig_thuis", "sbb"
PARTNERS = (OURS, LONGER, OTHER)
ANSWER_SECONDS = 10.0
Arguments = Mapping[str, Any]


class Place:
    """A broker and the certificates of its data folder."""

    def __init__(self, data_dir: Path, server: Kafka) -> None:
        self.data_dir = data_dir
        self.bootstrap = server.bootstrap
        self.partner_bootstrap = server.partner_bootstrap
        self.service: Arguments = {"bootstrap_servers": server.bootstrap}

    def partner(self, organisation: str) -> dict[str, Any]:
        return self.connection(issue_partner(self.data_dir, organisation))

    def connection(self, files: Credentials) -> dict[str, Any]:
        place = Connection(self.partner_bootstrap, files.ca, files.certificate, files.key)
        return place.arguments()


@contextmanager
def broker() -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="meldpunt-acls-", ignore_cleanup_errors=True) as name:
        server = Kafka(Path(name))
        managed = ManagedServer(server, Path(name) / "logs")
        server.prepare(print)
        managed.start()
        try:
            managed.wait_ready()
            yield Place(Path(name), server)
        finally:
            managed.kill()


@pytest.fixture(scope="module", autouse=True)
def shared_cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        cache = os.environ.get("MELDPUNT_CACHE", str(PROJECT / ".meldpunt" / "test" / "cache"))
        patch.setenv("MELDPUNT_CACHE", cache)
        yield


@pytest.fixture(scope="module")
def place(shared_cache: None) -> Iterator[Place]:
    with broker() as started:
        asyncio.run(prepare(started))
        yield started


async def prepare(place: Place) -> None:
    specs = [spec for name in PARTNERS for spec in topics.partner_topics(name)]
    await provision_topics(place.bootstrap, [*topics.CORE_TOPICS, *specs])
    rights = await acls.sync(place.bootstrap, PARTNERS, exclusive=True)
    assert rights is acls.Rights.ENFORCED
    for spec in (*topics.CORE_TOPICS, *specs):
        await write(place.service, spec.name, b"present")


async def write(connection: Arguments, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(**connection, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await producer.send_and_wait(topic, value, partition=0)
    finally:
        await producer.stop()


async def read(connection: Arguments, topic: str, group: str) -> bytes:
    """The first record of partition 0, with the place in it committed for the group."""
    consumer = AIOKafkaConsumer(
        topic,
        **connection,
        group_id=group,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await consumer.start()
            record = await consumer.getone()
            await consumer.commit()
    finally:
        await consumer.stop()
    value: bytes = record.value
    return value


async def test_a_partner_reads_its_offers_and_writes_its_answers(place: Place) -> None:
    ours = place.partner(OURS)
    for group in (f"partner-{OURS}", f"partner-{OURS}.trial"):
        assert await read(ours, partner_out(OURS), group) == b"present"
    await write(ours, partner_in(OURS), b"mine")


@pytest.mark.parametrize(
    "topic",
    [
        partner_out(OTHER),
        partner_out(LONGER),
        partner_in(OURS),
        partner_in(OTHER),
        topics.INTAKE,
        topics.ROUTING,
        topics.REFERRAL,
        topics.AUDIT,
    ],
)
async def test_a_partner_reads_nothing_else(place: Place, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await read(place.partner(OURS), topic, f"partner-{OURS}")


@pytest.mark.parametrize(
    "topic",
    [
        partner_in(OTHER),
        partner_in(LONGER),
        partner_out(OURS),
        partner_out(OTHER),
        topics.INTAKE,
        topics.REFERRAL,
    ],
)
async def test_a_partner_writes_nothing_else(place: Place, topic: str) -> None:
    with pytest.raises(TopicAuthorizationFailedError):
        await write(place.partner(OURS), topic, b"forged")


@pytest.mark.parametrize(
    "group", [f"partner-{OTHER}", f"partner-{LONGER}", "meldpunt-referral", "anything"]
)
async def test_a_partner_does_not_move_the_place_of_another(place: Place, group: str) -> None:
    with pytest.raises(GroupAuthorizationFailedError):
        await read(place.partner(OURS), partner_out(OURS), group)


async def test_a_partner_makes_and_removes_no_topics_and_gives_itself_no_rights(
    place: Place,
) -> None:
    ours = place.partner(OURS)
    admin = AIOKafkaAdminClient(**ours)
    await admin.start()
    try:
        made = await admin.create_topics([NewTopic("meldpunt.partner.veilig.more", 1, 1)])
        gone = await admin.delete_topics([partner_out(OURS)])
        assert set(await admin.list_topics()) == {partner_out(OURS), partner_in(OURS)}
    finally:
        await admin.close()
    refused = TopicAuthorizationFailedError.errno
    assert [error[1] for error in made.topic_errors] == [refused]
    assert [code for _, code in gone.topic_error_codes] == [refused]


async def refuses(arguments: Arguments) -> None:
    """The broker ends the connection, and has told nothing."""
    producer = AIOKafkaProducer(**arguments, request_timeout_ms=5_000)
    with pytest.raises(KafkaConnectionError):
        await producer.start()
    await producer.stop()


async def test_without_a_certificate_there_is_no_connection(place: Place) -> None:
    ca = str(Authority.open(place.data_dir).ca)
    await refuses({"bootstrap_servers": place.partner_bootstrap})
    await refuses(
        {
            "bootstrap_servers": place.partner_bootstrap,
            "security_protocol": "SSL",
            "ssl_context": create_ssl_context(cafile=ca),
        }
    )


async def test_a_certificate_of_another_authority_is_refused(place: Place, tmp_path: Path) -> None:
    theirs = issue_partner(tmp_path, OURS)
    trusting = Connection(
        place.partner_bootstrap,
        Authority.open(place.data_dir).ca,
        theirs.certificate,
        theirs.key,
    )
    await refuses(trusting.arguments())


@pytest.mark.parametrize("name", ["ANONYMOUS", "meldpunt-referral", "xpartner-veilig", "broker"])
async def test_a_certificate_with_a_name_that_is_no_partners_is_refused(
    place: Place, tmp_path: Path, name: str
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    authority = Authority.open(place.data_dir)
    certificate = authority._sign(name, key, ExtendedKeyUsageOID.CLIENT_AUTH, [])
    files = Credentials(authority.ca, tmp_path / "c.pem", tmp_path / "k.pem", "")
    files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    await refuses(place.connection(files))


async def test_a_partner_does_not_take_another_server_for_meldpunts(
    place: Place, tmp_path: Path
) -> None:
    ours = issue_partner(place.data_dir, OURS)
    elsewhere = Authority.open(tmp_path).ca
    await refuses(
        Connection(place.partner_bootstrap, elsewhere, ours.certificate, ours.key).arguments()
    )


async def test_a_partner_that_leaves_may_do_nothing_from_that_moment(place: Place) -> None:
    theirs = place.partner(OTHER)
    await write(theirs, partner_in(OTHER), b"goodbye")
    assert await revoke(place.bootstrap, OTHER) is acls.Rights.ENFORCED
    # Not even the number of an idempotent producer, which anybody gets who may write somewhere.
    with pytest.raises(ClusterAuthorizationFailedError):
        await write(theirs, partner_in(OTHER), b"too late")
    with pytest.raises((GroupAuthorizationFailedError, TopicAuthorizationFailedError)):
        await read(theirs, partner_out(OTHER), f"partner-{OTHER}")
    assert await grant(place.bootstrap, OTHER) is acls.Rights.ENFORCED
    await write(theirs, partner_in(OTHER), b"back")


async def test_a_start_takes_back_what_the_list_of_partners_does_not_hold(place: Place) -> None:
    await grant(place.bootstrap, "former")
    await acls.sync(place.bootstrap, PARTNERS, exclusive=False)
    assert "User:partner-former" in await principals(place)
    await acls.sync(place.bootstrap, PARTNERS, exclusive=True)
    assert await principals(place) == {f"User:partner-{name}" for name in PARTNERS}


async def principals(place: Place) -> set[str]:
    async with acls._connected(place.bootstrap) as client:
        found = await acls._described(client, None)
    assert isinstance(found, set)
    return {row[3] for row in found}


async def test_an_example_partner_answers_over_its_own_connection(
    place: Place, tmp_path: Path
) -> None:
    offer = next(event for event in EXAMPLES if isinstance(event, ReferralOffer))
    offer = offer.model_copy(update={"signal": False, "organisation": LONGER})
    with PartnerLog(tmp_path, LONGER) as log:
        partner = KafkaPartner(LONGER, place.partner(LONGER), Behaviour(decline=0), log)
        work = asyncio.create_task(partner.run())
        producer = AIOKafkaProducer(**place.service)
        consumer = AIOKafkaConsumer(partner_in(LONGER), **place.service)
        try:
            await producer.start()
            await consumer.start()
            headers = to_headers(enveloped(offer))
            await producer.send_and_wait(partner_out(LONGER), offer.encode(), headers=headers)
            async with asyncio.timeout(ANSWER_SECONDS):
                answers = [answer_in(await consumer.getone()) for _ in range(2)]
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await producer.stop()
            await consumer.stop()
    assert [item.answer for item in answers] == [Answer.RECEIVED, Answer.ACCEPTED]
    assert {item.referral_id for item in answers} == {offer.referral_id}


def answer_in(record: ConsumerRecord) -> ReferralAnswered:
    event = Catalogue(ReferralAnswered).decode(from_headers(record.headers, record.value))
    assert isinstance(event, ReferralAnswered)
    return event


async def test_a_broker_that_checks_no_rights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("authorizer.class.name", "super.users"):
        monkeypatch.delitem(kafka._SETTINGS, name)
    with broker() as unguarded:
        for answer in (
            await acls.sync(unguarded.bootstrap, PARTNERS, exclusive=True),
            await grant(unguarded.bootstrap, OURS),
            await revoke(unguarded.bootstrap, OURS),
        ):
            assert answer is acls.Rights.NO_AUTHORIZER
    text = acls.explain(acls.Rights.NO_AUTHORIZER, own_names=False)
    assert "whoever reaches it can read and write every topic" in text
