"""A cluster of three masters, and a master with a replica and sentinels, as real processes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.store.servers import VALKEY, Server, free_port, until

SLOTS = 16384
PATIENT = 180.0
"""Seconds for sentinels: one that got no processor for two seconds rests for thirty (TILT)."""


class Cluster:
    """Three masters without replicas."""

    def __init__(self) -> None:
        self.servers = [
            Server(
                VALKEY,
                "cluster-enabled yes",
                "cluster-config-file nodes.conf",
                f"cluster-port {free_port()}",
                "cluster-node-timeout 5000",
                "cluster-require-full-coverage no",
            )
            for _ in range(3)
        ]
        first = self.servers[0]
        for index, server in enumerate(self.servers):
            with server.admin() as client:
                share = range(index * SLOTS // 3, (index + 1) * SLOTS // 3)
                client.execute_command("CLUSTER", "ADDSLOTS", *share)
                if server is not first:
                    bus = first.options[2].split()[1]
                    client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port, bus)
        until(self._is_complete)

    def _is_complete(self) -> bool:
        for server in self.servers:
            with server.admin() as client:
                info = client.execute_command("CLUSTER", "INFO")
                text = info.decode() if isinstance(info, bytes) else str(info)
                if "cluster_known_nodes" not in text or not _has(text, "ok", "3", "16384"):
                    return False
        return True

    @property
    def url(self) -> str:
        """Two of its members; the third is found."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])
        return f"redis+cluster://{hosts}"

    def close(self) -> None:
        """Stop all."""
        for server in self.servers:
            server.close()


def _has(text: str, state: str, nodes: str, slots: str) -> bool:
    words = text.replace("'", "").replace(": ", ":").replace(",", "\r\n").split()
    return {
        f"cluster_state:{state}",
        f"cluster_known_nodes:{nodes}",
        f"cluster_slots_assigned:{slots}",
    } <= set(words)


class Replicated:
    """A master, a replica, and three sentinels that watch them."""

    def __init__(self) -> None:
        self.master = Server(VALKEY)
        self.replica = Server(VALKEY, f"replicaof 127.0.0.1 {self.master.port}", "repl-diskless-sync-delay 0")
        self.sentinels = [
            Server(
                VALKEY,
                f"sentinel monitor mymaster 127.0.0.1 {self.master.port} 2",
                "sentinel down-after-milliseconds mymaster 2000",
                "sentinel failover-timeout mymaster 3000",
                "sentinel parallel-syncs mymaster 1",
            )
            for _ in range(3)
        ]
        until(self._is_watched)

    def _is_watched(self) -> bool:
        seen = told_by(self.sentinels[0])
        with self.replica.admin() as client:
            is_linked = client.info("replication")["master_link_status"] == "up"
        return is_linked and seen["num-slaves"] == "1" and seen["num-other-sentinels"] == "2"

    @property
    def url(self) -> str:
        """The sentinels and the master's name."""
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.sentinels)
        return f"redis+sentinel://{hosts}/mymaster"

    def described(self) -> str:
        """What each of them has written, for a test that failed."""
        names = {"master": self.master, "replica": self.replica}
        names |= {f"sentinel {index}": server for index, server in enumerate(self.sentinels)}
        logs = {name: (server.folder / "log").read_text().splitlines() for name, server in names.items()}
        return "\n".join(f"{name}: {line}" for name, lines in logs.items() for line in lines[-30:])

    def close(self) -> None:
        """Stop all."""
        for server in (*self.sentinels, self.replica, self.master):
            server.close()


def told_by(sentinel: Server) -> dict[str, str]:
    """What it says of its master."""
    with sentinel.admin() as client:
        state = client.execute_command("SENTINEL", "MASTER", "mymaster")
    pairs = state if isinstance(state, dict) else dict(zip(state[::2], state[1::2], strict=True))
    return {_text(key): _text(value) for key, value in pairs.items()}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


@contextlib.contextmanager
def replicated() -> Iterator[Replicated]:
    """Master, replica and sentinels until the block ends."""
    servers = Replicated()
    try:
        yield servers
    except Exception as error:
        error.add_note(servers.described())
        raise
    finally:
        servers.close()
