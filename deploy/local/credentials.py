"""Certificates of the local stack: of its broker, and of every partner that connects to it.

A certificate authority of its own in `<data>/credentials`, for development only: it refuses to work
in an environment that calls itself production.

    credentials = issue_partner(data_dir, "veilig_thuis")
    await grant(bootstrap, "veilig_thuis")
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from contracts.topics import partner_name, partner_principal
from deploy.local.acls import grant, revoke
from deploy.local.state import HOST, production_variable, write_private_text

CA_LIFETIME = timedelta(days=3650)
LIFETIME = timedelta(days=365)
RENEW_BEFORE = timedelta(days=30)
# Clocks of two machines differ.
BACKDATED = timedelta(minutes=5)
_ORGANISATION = re.compile(r"[a-z0-9][a-z0-9_]{1,52}")


class CredentialsRefused(RuntimeError):
    """No certificate is given; the text says why and who must do what."""


@dataclass(frozen=True)
class Credentials:
    """Files with which a client connects, and the principal that the broker sees."""

    ca: Path
    certificate: Path
    key: Path
    principal: str


@dataclass(frozen=True)
class Authority:
    """The certificate authority of one data folder."""

    folder: Path
    _key: ec.EllipticCurvePrivateKey
    _certificate: x509.Certificate

    @classmethod
    def open(cls, data_dir: Path, environment: Mapping[str, str] | None = None) -> Authority:
        """The authority of a data folder; made at first use.

        Raises `CredentialsRefused` in production, and when its files cannot be read.
        """
        name = production_variable(os.environ if environment is None else environment)
        if name:
            raise CredentialsRefused(
                f"{name}=production: the local certificate authority gives nothing for production."
                " Let the operator of your broker make users and certificates (deploy/k8s), or set"
                " it to development for a local stack."
            )
        folder = data_dir / "credentials"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_file, ca_file = folder / "ca-key.pem", folder / "ca.pem"
        if not key_file.exists() or not ca_file.exists():
            _make_authority(key_file, ca_file)
        return cls(folder, _read_key(key_file), _read_certificate(ca_file))

    @property
    def ca(self) -> Path:
        """The authority's own certificate, which clients and broker trust."""
        return self.folder / "ca.pem"

    def broker(self) -> Path:
        """Key and certificate of the broker in one PEM file, as Kafka reads a key store."""
        path = self.folder / "broker.pem"
        if self._must_be_made(path):
            key = ec.generate_private_key(ec.SECP256R1())
            names: list[x509.GeneralName] = [
                x509.IPAddress(ipaddress.ip_address(HOST)),
                x509.DNSName("localhost"),
            ]
            made = self._sign("broker", key, ExtendedKeyUsageOID.SERVER_AUTH, names)
            write_private_text(path, _key_text(key) + _text(made))
        return path

    def partner(self, organisation: str) -> Credentials:
        """Key and certificate of a partner; the same ones until a month before they expire."""
        if not _ORGANISATION.fullmatch(organisation):
            # The name of a certificate holds at most 64 characters, of which `partner-` takes 8.
            raise CredentialsRefused(
                f"{organisation!r} cannot be in a certificate: an organisation's id has 2 to 53"
                " small letters, digits and underscores."
            )
        folder = self.folder / "partners" / organisation
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key_file, certificate_file = folder / "key.pem", folder / "certificate.pem"
        if self._must_be_made(certificate_file) or not key_file.exists():
            key = ec.generate_private_key(ec.SECP256R1())
            made = self._sign(partner_name(organisation), key, ExtendedKeyUsageOID.CLIENT_AUTH, [])
            certificate_file.unlink(missing_ok=True)
            write_private_text(key_file, _key_text(key))
            write_private_text(certificate_file, _text(made))
        return Credentials(self.ca, certificate_file, key_file, partner_principal(organisation))

    def _must_be_made(self, path: Path) -> bool:
        try:
            present = _read_certificate(path)
            present.verify_directly_issued_by(self._certificate)
        except (FileNotFoundError, CredentialsRefused):
            return True
        except Exception:  # noqa: BLE001 - of another authority: errors of several kinds, one meaning.
            return True
        return present.not_valid_after_utc < datetime.now(UTC) + RENEW_BEFORE

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        usage: x509.ObjectIdentifier,
        alternative_names: list[x509.GeneralName],
    ) -> x509.Certificate:
        builder = (
            _builder(name, LIFETIME)
            .public_key(key.public_key())
            .issuer_name(self._certificate.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
        )
        if alternative_names:
            names = x509.SubjectAlternativeName(alternative_names)
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def issue_partner(data_dir: Path, organisation: str) -> Credentials:
    """Key and certificate with which a partner connects to the stack of this data folder.

    Repeatable: the same files until they are about to expire. They give access only after `grant`.
    Raises `CredentialsRefused`.
    """
    return Authority.open(data_dir).partner(organisation)


def _make_authority(key_file: Path, ca_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder("meldpunt development authority", CA_LIFETIME)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        builder.public_key(key.public_key())
        .issuer_name(_name("meldpunt development authority"))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )
    write_private_text(key_file, _key_text(key))
    write_private_text(ca_file, _text(made))


def _builder(name: str, lifetime: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _read_certificate(path: Path) -> x509.Certificate:
    text = path.read_bytes()
    try:
        return x509.load_pem_x509_certificate(text)
    except ValueError:
        raise _unreadable(path) from None


def _read_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (ValueError, TypeError):
        raise _unreadable(path) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _unreadable(path)
    return key


def _unreadable(path: Path) -> CredentialsRefused:
    return CredentialsRefused(
        f"{path} cannot be read. Remove the folder {path.parent} and start the stack anew;"
        " certificates that were given before then stop working."
    )


def _key_text(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _text(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


__all__ = ["Authority", "Credentials", "CredentialsRefused", "grant", "issue_partner", "revoke"]
