"""Certificates for the test servers: a CA valid for one day, and a server certificate for 127.0.0.1."""

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Certificates(NamedTuple):
    """PEM files."""

    authority: Path
    certificate: Path
    key: Path
    keystore: Path
    """Key and certificate in one file, as Kafka reads it."""


def make_certificates(folder: Path, now: datetime | None = None) -> Certificates:
    """A new CA, and a server certificate for 127.0.0.1 and localhost signed by it."""
    now = now or datetime.now(UTC)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _sign("Labtrail test authority", authority_key, "Labtrail test authority", authority_key, now)
    server = _sign("127.0.0.1", key, "Labtrail test authority", authority_key, now)
    pem = serialization.Encoding.PEM
    texts = {
        "ca.pem": authority.public_bytes(pem),
        "server.crt": server.public_bytes(pem),
        "server.key": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    }
    texts["keystore.pem"] = texts["server.key"] + texts["server.crt"] + texts["ca.pem"]
    for name, text in texts.items():
        (folder / name).write_bytes(text)
    return Certificates(*(folder / name for name in texts))


def _sign(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    own = name == issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=own, path_length=None), critical=True)
    )
    if not own:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())
