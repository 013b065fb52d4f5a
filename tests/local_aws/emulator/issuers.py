"""Every issuer in the world, on one port of the loopback interface.

A host shows a certificate of the public CA, or, if its name begins with `private.`, one of a private CA; `impostor.`
begins the names of hosts whose CA nobody knows. Each CA signs with an intermediate, which is another one when the
number in the file `generation` is.
"""

from __future__ import annotations

import datetime
import json
import os
import socket
import ssl
import threading
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Signer = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def install() -> None:
    """Serves on EMULATOR_ISSUERS_PORT, with its files in EMULATOR_ISSUERS."""
    issuers = Issuers(Path(os.environ["EMULATOR_ISSUERS"]))
    listener = socket.create_server(("127.0.0.1", int(os.environ["EMULATOR_ISSUERS_PORT"])))
    threading.Thread(target=issuers.serve, args=(listener,), daemon=True).start()


class Issuers:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.roots = {ca: issue(f"{ca} root", None) for ca in ("public", "private", "unknown")}
        self.intermediates: dict[tuple[str, str], Signer] = {}
        self.lock = threading.Lock()
        for ca, (certificate, _) in self.roots.items():
            (directory / f"{ca}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (directory / "generation").write_text("1")
        for ca in self.roots:
            self.intermediate(ca)

    def serve(self, listener: socket.socket) -> None:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        hosts: list[str] = []

        def choose(stream: ssl.SSLObject, host: str | None, _: ssl.SSLContext) -> None:
            hosts.append(host or "localhost")
            stream.context = self.context(hosts[-1])

        context.sni_callback = choose  # type: ignore[assignment]
        connection.settimeout(10)
        try:
            with connection, context.wrap_socket(connection, server_side=True) as stream:
                request = b""
                while b"\r\n\r\n" not in request:
                    if not (more := stream.recv(4096)):
                        return
                    request += more
                stream.sendall(answered(hosts[-1], request.split(b" ")[1].decode()))
        except OSError:
            pass  # the client has seen enough, or does not trust us

    def intermediate(self, ca: str) -> Signer:
        key = (ca, (self.directory / "generation").read_text().strip())
        with self.lock:
            if key not in self.intermediates:
                made = issue(f"{ca} intermediate {key[1]}", self.roots[ca])
                der = made[0].public_bytes(serialization.Encoding.DER)
                (self.directory / f"{ca}-{key[1]}.der").write_bytes(der)
                self.intermediates[key] = made
            return self.intermediates[key]

    def context(self, host: str) -> ssl.SSLContext:
        ca = {"private": "private", "impostor": "unknown"}.get(host.split(".", maxsplit=1)[0], "public")
        above = self.intermediate(ca)
        certificate, key = issue(host, above, host)
        file = self.directory / f"{threading.get_ident()}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
            + above[0].public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        file.unlink()
        return context


def issue(name: str, signer: Signer | None, host: str | None = None) -> Signer:
    """A CA, or the certificate of a host."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer[0].subject if signer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    if host:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = builder.add_extension(names, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer[1] if signer else key, hashes.SHA256()), key


def answered(host: str, path: str) -> bytes:
    issuer, found, _ = path.partition("/.well-known/openid-configuration")
    url = f"https://{host}{issuer}"
    body = json.dumps({"issuer": url, "jwks_uri": f"{url}/.well-known/jwks"} if found else {}).encode()
    status = "200 OK" if found else "404 Not Found"
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Connection: close\r\n\r\n".encode() + body
