"""Token requests over real sockets: never twice, and it is known what is not known."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from aiclient2api.credentials.endpoint import TokenEndpoint
from aiclient2api.credentials.grant import Answer, Fresh, Grant, Lost, Refused, Unsent
from aiclient2api.credentials.journal import FileJournal
from aiclient2api.credentials.peek import NoToken, peek
from aiclient2api.credentials.record import Record, Tokens, seal
from aiclient2api.credentials.sealing import Sealer
from aiclient2api.providers.credentials import Secret
from tests.fakes.identity_server import IdentityServer, identity_server

ENDPOINT = TokenEndpoint(time.time, lambda: "n")


def refreshing(idp: IdentityServer) -> Grant:
    return Grant(
        kind="refresh_token",
        token_url=idp.token_url,
        client_id="c",
        refresh_token=Secret(idp.identity.enrol()),
    )


def ask(grant: Grant) -> Answer:
    return asyncio.run(ENDPOINT.ask(grant, grant.refresh_token))


def test_a_token_and_its_successor() -> None:
    with identity_server() as idp:
        answer = ask(refreshing(idp))

        assert isinstance(answer, Fresh)
        assert answer.refresh is not None
        assert idp.identity.takes(answer.access.reveal())


def test_an_answer_that_is_cut_off_is_lost_and_nothing_is_sent_again() -> None:
    with identity_server() as idp:
        idp.faults.append("drop")
        grant = refreshing(idp)

        assert isinstance(ask(grant), Lost)
        assert idp.requests == 1
        assert ask(grant) == Refused("invalid_grant")
        assert idp.identity.reuses == 1  # so it did take effect


def test_a_refusal_is_one_and_nobody_listening_is_unsent() -> None:
    with identity_server() as idp:
        idp.faults.append(503)
        grant = refreshing(idp)
        assert ask(grant) == Refused("temporarily_unavailable")
    assert isinstance(ask(grant), Unsent)


async def test_the_command_line_takes_what_the_node_has_and_never_sends_a_refresh_token(
    tmp_path: Path,
) -> None:
    sealer = Sealer(bytes(32))
    journal = FileJournal(tmp_path, sealer.kids, lambda _: None)
    with identity_server() as idp:
        grant = refreshing(idp)
        with pytest.raises(NoToken, match="a running gateway"):
            await peek("a", grant, ENDPOINT, (journal, sealer), 1000.0)
        record = Record(generation=4, expires=2000.0, life=1000.0, seeds=("s",))
        await journal.append("a", seal(record, Tokens(Secret("at")), sealer, "a"))

        found = await peek("a", grant, ENDPOINT, (journal, sealer), 1000.0)

        assert (found.secret.reveal(), found.generation) == ("at", 4)
        with pytest.raises(NoToken):
            await peek("a", grant, ENDPOINT, (journal, sealer), 1999.0)
        assert idp.requests == 0
