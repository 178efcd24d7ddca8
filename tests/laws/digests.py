"""L9 between processes: `python -m tests.laws.digests COUNT` prints one digest of what the conversions made of COUNT
examples of every pair. Whatever the hash seed of the process is, it must be the same.
"""

from __future__ import annotations

import hashlib
import sys
from random import Random

from tests.laws.composing import composed
from tests.laws.exchange import Exchange, Refused, some_model
from tests.laws.laws import everything_of, said_of
from tests.laws.native import PAIRS, answer
from tests.laws.streams import streamed
from tests.laws.words import Words


def digest(count: int) -> str:
    """Over all that both sides get, the reports and the records of the side table, in order."""
    state = hashlib.sha256()
    for client, upstream in PAIRS:
        for number in range(count):
            words = Words(Random(f"{client} {upstream} {number}"))
            doc, _ = composed(client, upstream, words, 6)
            told = answer(upstream, said_of(upstream, words), words)
            body = streamed(upstream, told, words)
            try:
                exchange = Exchange(client, upstream, doc, stream=words.coin(), profile=some_model(words))
            except Refused as error:
                state.update(str(error).encode())
                continue
            state.update(repr(everything_of(exchange, told, body)).encode())
    return state.hexdigest()


if __name__ == "__main__":
    sys.stdout.write(f"{digest(int(sys.argv[1]))}\n")
