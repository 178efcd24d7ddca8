"""Every key of the store, made in one place; docs/redis-schema.md describes each, and a test compares the two.

`{…}` is a hash tag: keys that are written together stand in one slot of a cluster. Names of accounts, pools and
client keys have letters, digits, `.`, `_` and `-` only; what comes from outside is put last.
"""

from __future__ import annotations

import hashlib
from typing import Final

PREFIX: Final = "a2:v1:"
SCHEMA_VERSION: Final = 1

PASSING: Final = (
    "a2:v1:probe:",
    "a2:v1:check:",
    "a2:v1:{nodes}:",
    "a2:v1:{accounts}:batch:",
    "a2:v1:{accounts}:epoch",
    "a2:v1:{limits}:use:",
    "a2:v1:{cred:",  # an old refresh token that comes back would make a newer one void
)
"""What is true of one moment or one store only."""

META: Final = "a2:v1:meta"
"""JSON: schema version, who made it, when."""


def accounts_epoch() -> str:
    """A random word that is lost when the store is flushed."""
    return "a2:v1:{accounts}:epoch"


def accounts_version() -> str:
    """Counts changes of any account's state or of an admin's word."""
    return "a2:v1:{accounts}:version"


def account_state(account: str) -> str:
    """Health of an account."""
    return f"a2:v1:{{accounts}}:state:{account}"


def accounts_admin() -> str:
    """What an admin said of accounts."""
    return "a2:v1:{accounts}:admin"


def added_accounts() -> str:
    """The accounts that stand in no configuration, by name, sealed."""
    return "a2:v1:{accounts}:added"


def added_accounts_version() -> str:
    """Counts changes of any added account."""
    return "a2:v1:{accounts}:added:version"


def account_settings(account: str) -> str:
    """What is known of an account's configuration, without secrets."""
    return f"a2:v1:{{accounts}}:settings:{account}"


def account_counters(account: str) -> str:
    """What happened on an account, in numbers."""
    return f"a2:v1:{{accounts}}:count:{account}"


def accounts_batch(batch: str) -> str:
    """Marks a batch of counters as written."""
    return f"a2:v1:{{accounts}}:batch:{batch}"


def probe(account: str) -> str:
    """The node that may probe an account."""
    return f"a2:v1:probe:{account}"


def credential(account: str) -> str:
    """The tokens of an account whose credential expires, sealed."""
    return f"a2:v1:{{cred:{account}}}:token"


def credential_lease(account: str) -> str:
    """The node that may fetch the next token."""
    return f"a2:v1:{{cred:{account}}}:lease"


def credential_fence(account: str) -> str:
    """Tells the holders of the lease apart."""
    return f"a2:v1:{{cred:{account}}}:fence"


def tickets(pool: str) -> str:
    """The next block of round-robin tickets."""
    return f"a2:v1:rr:{pool}"


def nodes() -> str:
    """Live nodes by the time they were last seen."""
    return "a2:v1:{nodes}:live"


def node_inflight(node: str) -> str:
    """Requests under way on a node, by account."""
    return f"a2:v1:{{nodes}}:inflight:{node}"


def node_check(node: str) -> str:
    """Written to see whether the store takes writes."""
    return f"a2:v1:check:{node}"


def pin(tenant: str, response_id: str) -> str:
    """The account that holds a stored response."""
    return f"a2:v1:pin:{tenant}:{response_id}"


def carried(tenant: str, call_id: str) -> str:
    """What an assistant turn held beside its words, by the id of its first tool call."""
    return f"a2:v1:carry:{tenant}:{call_id}"


def usage_hour(hour: int) -> str:
    """What was used in one hour since the Unix epoch."""
    return f"a2:v1:{{usage}}:hour:{hour}"


def usage_day(day: int) -> str:
    """What was used on one day (UTC) since the Unix epoch."""
    return f"a2:v1:{{usage}}:day:{day}"


def usage_position(segment: str) -> str:
    """How far a segment of a node's ledger is booked, in bytes."""
    return f"a2:v1:{{usage}}:position:{segment}"


def client_keys() -> str:
    """The client keys, by name."""
    return "a2:v1:{keys}:records"


def client_keys_version() -> str:
    """Counts changes of any client key."""
    return "a2:v1:{keys}:version"


def key_use(window: int) -> str:
    """What each node used of the limits of client keys, in one minute since the Unix epoch."""
    return f"a2:v1:{{limits}}:use:{window}"


def aside(key: str, stamp: str) -> str:
    """Where a value of a foreign type is moved to; in the same slot as its key."""
    tag = _tag(key)
    name = hashlib.blake2b(key.encode(), digest_size=4).hexdigest()
    return f"a2:aside:{{{tag}}}:{name}:{stamp}"


def _tag(key: str) -> str:
    """What a cluster hashes of a key (Redis cluster specification, "Hash tags")."""
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if 0 <= start < end - 1 else key
