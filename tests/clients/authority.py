"""A certificate authority: issues certificates for servers and clients, as PEM files."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = datetime.timedelta(days=1)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


class Authority:
    """Signs certificates; its files are in `folder`."""

    def __init__(self, folder, common_name="test authority"):
        self.folder = folder
        self.name = name(common_name)
        self.key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(self.name, self.key.public_key(), DAY)
        certificate = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.pem = pem(certificate.sign(self.key, hashes.SHA256()))
        self.file = folder / f"{common_name}.pem"
        self.file.write_bytes(self.pem)

    def _builder(self, subject, public_key, lifetime):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 2 * DAY)
            .not_valid_after(now + lifetime)
        )

    def issue(self, common_name, lifetime=DAY):
        """A certificate for localhost and its key, as PEM; with a negative lifetime, it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = self._builder(name(common_name), key.public_key(), lifetime)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return pem(builder.sign(self.key, hashes.SHA256())), private

    def write(self, common_name, lifetime=DAY):
        """Issues to two files and returns their paths."""
        cert, key = self.folder / f"{common_name}.crt", self.folder / f"{common_name}.key"
        for path, content in zip((cert, key), self.issue(common_name, lifetime)):
            path.write_bytes(content)
        return cert, key
