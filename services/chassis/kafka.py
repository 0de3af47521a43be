"""Connection arguments for the Kafka clients, and the producer that the relay uses."""

from dataclasses import dataclass, field
from ssl import SSLContext
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.helpers import create_ssl_context
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from services.chassis.settings import ServiceSettings

PRODUCE_BATCH_BYTES = 131_072


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Where the broker is and as whom to speak to it."""

    # Holds the password: never printed.
    arguments: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, settings: ServiceSettings, client_id: str) -> "KafkaAccess":
        """From the settings of a service."""
        arguments: dict[str, Any] = {
            "bootstrap_servers": settings.kafka_bootstrap,
            "client_id": client_id,
            "security_protocol": settings.kafka_security_protocol,
        }
        if "SSL" in settings.kafka_security_protocol:
            arguments["ssl_context"] = _context(settings)
        if "SASL" in settings.kafka_security_protocol:
            password = settings.kafka_password
            arguments |= {
                "sasl_mechanism": settings.kafka_sasl_mechanism,
                "sasl_plain_username": settings.kafka_username,
                "sasl_plain_password": password.get_secret_value() if password else None,
            }
        return cls(arguments)

    def faststream_security(self) -> BaseSecurity | None:
        """The same access in FastStream's words."""
        protocol = self.arguments["security_protocol"]
        context = self.arguments.get("ssl_context")
        if "SASL" not in protocol:
            return BaseSecurity(ssl_context=context) if context is not None else None
        kinds: dict[str, Any] = {
            "SCRAM-SHA-512": SASLScram512,
            "SCRAM-SHA-256": SASLScram256,
            "PLAIN": SASLPlaintext,
        }
        made: BaseSecurity = kinds[self.arguments["sasl_mechanism"]](
            username=self.arguments["sasl_plain_username"],
            password=self.arguments["sasl_plain_password"],
            ssl_context=context,
        )
        return made

    def producer(self) -> AIOKafkaProducer:
        """Idempotent, acknowledged by all replicas, no waiting to fill a batch."""
        return AIOKafkaProducer(
            **self.arguments,
            acks="all",
            enable_idempotence=True,
            linger_ms=0,
            max_batch_size=PRODUCE_BATCH_BYTES,
        )


def _context(settings: ServiceSettings) -> SSLContext:
    files = (settings.kafka_ca_file, settings.kafka_certificate_file, settings.kafka_key_file)
    ca, certificate, key = (str(path) if path else None for path in files)
    made: SSLContext = create_ssl_context(cafile=ca, certfile=certificate, keyfile=key)
    return made
