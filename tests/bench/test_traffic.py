"""The requests that are sent: whom they pay, and under which keys."""

import json
import random
from collections import Counter
from pathlib import Path

import pytest

from bench.credits import top_ups
from bench.people import Person
from bench.traffic import DECK_SIZE, END_MARK, KEY_MARK, Deck, Pattern, reading, transfers

PEOPLE = [Person(number, number + 1000, f"token-{number}") for number in range(1, 51)]


def parties(request: bytes) -> tuple[int, int]:
    """Return the ids of who pays and of the wallet that is paid."""
    head, _, body = request.partition(b"\r\n\r\n")
    payer = int(head.partition(b"Bearer token-")[2].partition(b"\r\n")[0])
    assert f"Content-Length: {len(body)}".encode() in head
    return payer, json.loads(body)["to_account_id"]


@pytest.mark.parametrize("pattern", Pattern)
def test_nobody_pays_themselves(pattern: Pattern) -> None:
    deck = transfers(PEOPLE, pattern, random.Random(1))

    assert len(deck.requests) == DECK_SIZE
    for request in deck.requests:
        payer, paid = parties(request)
        assert payer + 1000 != paid


def test_who_is_paid() -> None:
    paid = {
        pattern: Counter(
            parties(request)[1] for request in transfers(PEOPLE, pattern, random.Random(1)).requests
        )
        for pattern in Pattern
    }

    assert paid[Pattern.HOT] == {1001: DECK_SIZE}
    assert len(paid[Pattern.UNIFORM]) == len(paid[Pattern.ZIPF]) == len(PEOPLE)
    assert max(paid[Pattern.UNIFORM].values()) < DECK_SIZE * 0.04
    [(first, most), (second, fewer)] = paid[Pattern.ZIPF].most_common(2)
    assert (first, second) == (1001, 1002)
    assert 1.8 < most / fewer < 2.6


def test_top_ups_are_of_everybody_and_each_has_a_key() -> None:
    users = [f"user-{number}" for number in range(50)]
    deck = top_ups(users, "sk_test_1_secret", random.Random(1))

    assert len(deck.requests) == DECK_SIZE
    for request in deck.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        assert f"Content-Length: {len(body)}".encode() in head
        assert b"X-API-Key: sk_test_1_secret\r\n" in head
        assert request.count(KEY_MARK) == 1
    paths = {request.split(b" ", 2)[1].decode() for request in deck.requests}
    assert paths == {f"/api/v1/wallets/users/{user}/top-up" for user in users}


def test_each_sending_has_a_key_of_its_own() -> None:
    deck = Deck((b"a" + KEY_MARK + b"b", b"c" + KEY_MARK + b"d"))
    first, second = deck.player(), deck.player()

    sent = [play(number) for play in (first, second) for number in range(100)]

    assert len({request[1:-1] for request in sent}) == 200
    assert {(request[:1], request[-1:]) for request in sent} == {(b"a", b"b"), (b"c", b"d")}


def test_a_request_without_a_key_is_sent_as_it_is() -> None:
    request = reading(PEOPLE[0], "/wallet")

    assert Deck((request,)).player()(7) == request


def test_a_file_holds_every_request(tmp_path: Path) -> None:
    deck = transfers(PEOPLE, Pattern.UNIFORM, random.Random(1))

    deck.write(tmp_path / "deck")

    assert tuple((tmp_path / "deck").read_bytes().split(END_MARK)) == deck.requests
