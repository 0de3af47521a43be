"""How a partner reaches the broker: its address, and the certificate that says who it is.

The certificate authority's file tells that the broker is the right one; your own certificate and
its key tell the broker who you are. Keep the key where only your program reads it.
"""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiokafka.helpers import create_ssl_context

VARIABLE_PREFIX = "MELDPUNT_PARTNER_"


@dataclass(frozen=True)
class Connection:
    """Address and files; without files it connects to a broker that asks for no name."""

    bootstrap: str
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def arguments(self) -> dict[str, Any]:
        """Arguments of `AIOKafkaConsumer` and `AIOKafkaProducer`.

        Raises `ValueError` when one of the three files is missing, `OSError` or `ssl.SSLError` when
        one cannot be used.
        """
        files = (self.ca, self.certificate, self.key)
        if not any(files):
            return {"bootstrap_servers": self.bootstrap}
        if not all(files):
            raise ValueError("Name all three: the authority's file, your certificate and its key.")
        return {
            "bootstrap_servers": self.bootstrap,
            "security_protocol": "SSL",
            "ssl_context": create_ssl_context(
                cafile=str(self.ca), certfile=str(self.certificate), keyfile=str(self.key)
            ),
        }


def add_connection_arguments(
    parser: argparse.ArgumentParser, environment: Mapping[str, str] = os.environ
) -> None:
    """`--bootstrap`, `--ca`, `--certificate`, `--key`, or variables `MELDPUNT_PARTNER_<NAME>`."""

    def add(name: str, text: str) -> None:
        variable = f"{VARIABLE_PREFIX}{name.upper()}"
        given = environment.get(variable)
        parser.add_argument(f"--{name}", default=given, help=f"{text}, or {variable}")

    add("bootstrap", "address of the broker, host:port")
    add("ca", "certificate of the authority that signed the broker's")
    add("certificate", "your certificate")
    add("key", "its private key")


def connection_of(options: argparse.Namespace) -> Connection:
    """The connection that the arguments describe. Raises `ValueError` without an address."""
    if not options.bootstrap:
        raise ValueError(f"Name the broker: --bootstrap HOST:PORT, or {VARIABLE_PREFIX}BOOTSTRAP.")
    ca, certificate, key = (
        Path(name) if name else None for name in (options.ca, options.certificate, options.key)
    )
    return Connection(options.bootstrap, ca, certificate, key)
