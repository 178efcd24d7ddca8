"""Addresses where no answer can come from: nothing listens, nobody accepts, no name, no trust."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from msgspec import Struct

from tests.faults.server import FaultServer


class Addresses(Struct, kw_only=True):
    """Base URLs by what is wrong with them; `ca` is the file that accounts with https trust."""

    urls: dict[str, str]
    ca: Path


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def blackhole() -> AsyncIterator[str]:
    """A listener whose queue is full: further connection requests get no answer at all (Linux drops the SYN)."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        fillers: list[socket.socket] = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            for filler in fillers:
                filler.close()


class _Silent(asyncio.Protocol):
    """Says nothing; without `reads` it does not even read."""

    def __init__(self, *, reads: bool = True) -> None:
        self._reads = reads

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        if not self._reads:
            self._transport.pause_reading()

    def abort(self) -> None:
        """End it."""
        self._transport.abort()


class _Rude(_Silent):
    """Resets at once."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        super().connection_made(transport)
        self._break_off()

    def _break_off(self) -> None:
        connected: socket.socket = self._transport.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


class _RudeToGreetings(_Rude):
    """Resets as soon as something is said."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._break_off()


_RUDE: Final[tuple[tuple[str, str, Callable[[], _Silent]], ...]] = (
    ("reset at accept", "http", _Rude),
    ("tls stalls", "https", _Silent),
    ("tls reset", "https", _RudeToGreetings),
    ("never reads", "http", lambda: _Silent(reads=False)),
)


def _certificate(folder: Path, name: str, host: str, *, days: int) -> tuple[Path, Path]:
    """A self-signed certificate that is its own authority, valid until `days` from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days)
    try:
        alternative: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        alternative = x509.DNSName(host)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(until - datetime.timedelta(days=10))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key_file.write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
    return cert_file, key_file


@asynccontextmanager
async def addresses(server: FaultServer, folder: Path) -> AsyncIterator[Addresses]:
    """All of them, with the fault server at `server` and behind the bad certificates."""
    certificates = {
        "tls expired": _certificate(folder, "expired", "127.0.0.1", days=-1),
        "tls wrong host": _certificate(folder, "elsewhere", "elsewhere.example", days=5),
        "tls self-signed": _certificate(folder, "stranger", "127.0.0.1", days=5),
        "tls": _certificate(folder, "trusted", "127.0.0.1", days=5),
    }
    ca = folder / "ca.pem"
    trusted = [cert for name, (cert, _) in certificates.items() if name != "tls self-signed"]
    ca.write_bytes(b"".join(cert.read_bytes() for cert in trusted))
    urls = {"refused": f"http://127.0.0.1:{free_port()}", "no name": "https://no-such-host.invalid"}
    async with AsyncExitStack() as stack:
        urls["server"] = await stack.enter_async_context(server.running())
        urls["blackhole"] = await stack.enter_async_context(blackhole())
        for name, (cert, key) in certificates.items():
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            urls[name] = await stack.enter_async_context(server.running(tls=context))
        for name, scheme, make in _RUDE:
            port = await stack.enter_async_context(_listening(make))
            urls[name] = f"{scheme}://127.0.0.1:{port}"
        yield Addresses(urls=urls, ca=ca)


@asynccontextmanager
async def _listening(make: Callable[[], _Silent]) -> AsyncIterator[int]:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listener.bind(("127.0.0.1", 0))
    accepted: list[_Silent] = []

    def accept() -> _Silent:
        accepted.append(make())
        return accepted[-1]

    made = await asyncio.get_running_loop().create_server(accept, sock=listener, backlog=512)
    try:
        yield int(listener.getsockname()[1])
    finally:
        made.close()
        for connection in accepted:  # who does not read never learns that the other side has gone
            connection.abort()
