"""JSON that two readers could take for two things, and how much all bodies may hold."""

from __future__ import annotations

import json
from random import Random

import pytest

from aiclient2api.errors import Busy, MalformedMessage
from aiclient2api.server.bodies import ONCE, BodyBudget, check_body

LARGE = 17_000


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"[]" + b"}" * (levels - 1)


ORDINARY = {
    "empty": b"",
    "not JSON": b"hello \\u",
    "128 levels": nested(128),
    "wide": json.dumps([{"a": [[], {}]}] * 5000).encode(),
    "as many as may be": b"[" + b"[]," * 199_998 + b"[]]",
    "many in a string": json.dumps({"a": "[{" * 500_000}).encode(),
    "brackets in strings": json.dumps({"a": "[" * 5000, "b": '\\"{' * 3000}).encode(),
    "unbalanced": b"[" * 50 + b"]" * 100,
    "64 digits": b'{"a":' + b"9" * 64 + b"}",
    "digits in a string": b'{"a":"' + b"1234567890" * 50 + b'"}',
    "pairs": b'{"a":"\\ud83d\\ude00 \\uD83D\\uDE00"}',
    "an escaped backslash before": b'{"a":"\\\\ud800"}',
    "a member further inside": b'{"model":"a","tools":[{"model":1,"stream":2}],"stream":true}',
    "names in two spellings further inside": b'{"model":"a","tools":[{"model":1,"Model":2}],"stream":true}',
    "other members twice": b'{"n":1,"n":2}',
    "accents": b'{"model":"a","x":"caf\\u00e9"}',
}
REFUSED = {
    "129 levels": nested(129),
    "mixed levels": b'[{"a":' * 100 + b"1" + b"}]" * 100,
    "deep without an end": b"[" * 5000 + b"]" * 4000,
    "too many arrays": b"[" + b"[]," * 200_000 + b"[]]",
    "too many messages": b'{"messages":[' + b'{"role":"user","content":""},' * 200_000 + b"{}]}",
    "65 digits": b'{"a":' + b"1" * 65 + b"}",
    "a long fraction": b'{"a":0.' + b"1" * 65 + b"}",
    "half a pair": b'{"a":"\\ud83d"}',
    "the wrong half first": b'{"a":"\\ude00\\ud83d"}',
    "half behind a pair": b'{"a":"\\ud83d\\ude00\\ud83d"}',
    "two models": b'{"model":"a","model":"b"}',
    "two models, one in disguise": b'{"model":"a","mod\\u0065l":"b"}',
    "two models, as readers see it that do not look at case": b'{"model":"a","Model":"b"}',
    "two models, one in disguise and capitals": b'{"model":"a","MOD\\u0045L":"b"}',
    "two limits in two spellings": b'{"Max_Tokens":9,"max_tokens":1}',
    "two streams": b'{"stream":false,"messages":[],"stream":true}',
    "two limits": b'{ "max_tokens" : 1, "max_tokens" : 2 }',
    "two histories": b'{"messages":[],"messages":[{"model":1}]}',
}


@pytest.mark.parametrize("body", ORDINARY.values(), ids=ORDINARY.keys())
def test_ordinary_bodies_pass(body: bytes) -> None:
    check_body(body)


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED.keys())
def test_dubious_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        check_body(body)


NAMES = ("model", "Model", r"mod\u0065l", "stream", "messages", "max_tokens", "n", "", r"x\"")
VALUES = (
    *("1", "12", "-1e5", "true", "null", '""', '"model"', '{"model":1}', "[1, 2]", '[{"n":1},{}]'),
    *(r'"a,\"model\":1"', '{"n":1 ,"model":2}', '"}"', '"                    "', "[                  ]"),
)


def member(random: Random) -> str:
    blanks = [random.choice(("", "", "", " ", "\n  ", "\t" * 9)) for _ in range(4)]
    name, value = random.choice(NAMES), random.choice(VALUES)
    return f'{blanks[0]}"{name}"{blanks[1]}:{blanks[2]}{value}{blanks[3]}'


def outermost(body: str) -> list[str]:
    found: list[list[str]] = []
    json.loads(body, object_pairs_hook=lambda pairs: found.append([name for name, _ in pairs]))
    return found[-1]


@pytest.mark.parametrize("name", [*ORDINARY, *REFUSED])
def test_a_large_body_is_judged_as_a_small_one(name: str) -> None:
    """Large ones are looked at in another way; what makes it large stands in front, behind and inside."""
    small = ORDINARY.get(name) or REFUSED.get(name, b"")
    if not small.startswith(b"{") or len(small) > LARGE:
        return
    for large in (
        b'{"pad":"%b",%b' % (b"x" * LARGE, small[1:]),
        b'%b,"pad":["%b"] }\n' % (small[:-1], b"x" * LARGE),
        b' {%b"pad" : {"a": "%b"} , %b' % (b"\n" * 3, b"x\\n" * LARGE, small[1:]),
    ):
        is_refused = name in REFUSED
        try:
            check_body(large)
        except MalformedMessage:
            assert is_refused
        else:
            assert not is_refused


def test_no_member_hides_where_members_are_counted_by_their_places() -> None:
    """Random objects: two of one name, in any spelling and spacing, with values that look like members."""
    random = Random(1)
    filler = json.dumps("x" * LARGE)
    refused = 0
    for _ in range(3000):
        members = [member(random) for _ in range(random.randint(1, 5))]
        members.insert(random.randint(0, len(members)), f'"pad":{filler}')
        body = "{" + ",".join(members) + "}"
        folded = [name.casefold() for name in outermost(body)]
        is_double = any(folded.count(name) > 1 for name in ONCE)
        refused += is_double
        try:
            check_body(body.encode())
        except MalformedMessage:
            assert is_double, body.replace(filler, "...")
        else:
            assert not is_double, body.replace(filler, "...")
    assert 500 < refused < 2500


def test_a_value_that_looks_like_the_members_behind_it_hides_nothing() -> None:
    """Where lengths alone counted, the second model would be passed over."""
    hiding = b'{"z":1          ,"n":2}'
    with pytest.raises(MalformedMessage):
        check_body(b'{"model":1,"n":22,"model":%b,"pad":"%b"}' % (hiding, b"x" * LARGE))


@pytest.mark.parametrize("before", range(5))
def test_a_long_number_is_found_wherever_it_begins(before: int) -> None:
    for digits, is_refused in ((65, True), (64, False)):
        body = b'{"%b":%b}' % (b"a" * before, b"7" * digits)
        if is_refused:
            with pytest.raises(MalformedMessage):
                check_body(body)
        else:
            check_body(body)


def test_a_member_that_stands_twice_is_named() -> None:
    with pytest.raises(MalformedMessage) as raised:
        check_body(b'{"stream":1,"stream":1}')

    assert raised.value.path == "stream"


def test_all_bodies_share_one_budget() -> None:
    budget = BodyBudget(100)
    budget.take(60)
    with pytest.raises(Busy):
        budget.take(41)
    budget.take(40)
    budget.give(100)

    assert budget.used == 0
