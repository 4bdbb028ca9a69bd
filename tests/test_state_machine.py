"""Hypothesis calls the real API in any order it can think of and compares it with a model."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from core.money import to_wire
from tests.model import Model
from tests.people import PASSWORD
from tests.processes import ApiProcess
from tests.races import api_processes

PEOPLE = 3
people = st.integers(min_value=0, max_value=PEOPLE - 1)
# Few amounts and keys, so that they meet: balances are hit exactly and keys are used again.
amounts = st.sampled_from([1, 2, 50, 100, 150])
keys = st.one_of(st.just(""), st.sampled_from(["a", "b", "c", "d"]))


@pytest.fixture(scope="module")
def api(
    database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ApiProcess]:
    folder: Path = tmp_path_factory.mktemp("machine")
    with api_processes(1, database_url, redis_url, folder) as [process]:
        yield process


def test_the_api_behaves_like_the_model(api: ApiProcess) -> None:
    class Bound(WalletMachine):
        url = api.url

    run_state_machine_as_test(
        Bound,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


class WalletMachine(RuleBasedStateMachine):
    """Three people who open, close, move, repeat themselves and mix up their keys."""

    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.client = httpx.Client(base_url=self.url, timeout=30)
        self.model = Model()
        self.headers = [self._sign_up() for _ in range(PEOPLE)]
        # The id of each person's latest wallet, open or closed; none yet.
        self.wallets = [10**12 + n for n in range(PEOPLE)]
        self.answers: dict[tuple[int, str], tuple[int, bytes]] = {}

    def teardown(self) -> None:
        self.client.close()

    @rule(person=people, amount=st.one_of(st.just(0), amounts), key=keys)
    def open(self, person: int, amount: int, key: str) -> None:
        body = {"currency": "NGN", "balance": to_wire(amount, "NGN")}
        opened = self._ask(person, key, ("POST", "/wallet"), body, "open", amount)
        if opened.status_code == 201:
            self.wallets[person] = opened.json()["id"]

    @rule(person=people, key=keys)
    def close(self, person: int, key: str) -> None:
        self._ask(person, key, ("DELETE", "/wallet"), None, "close")

    @rule(person=people, what=st.sampled_from(["deposit", "withdraw"]), amount=amounts, key=keys)
    def move(self, person: int, what: str, amount: int, key: str) -> None:
        body = {"currency": "NGN", "amount": to_wire(amount, "NGN")}
        self._ask(person, key, ("PATCH", f"/transaction/{what}"), body, what, amount)

    @rule(person=people, to=people, amount=amounts, key=keys)
    def transfer(self, person: int, to: int, amount: int, key: str) -> None:
        body = {
            "currency": "NGN",
            "amount": to_wire(amount, "NGN"),
            "to_account_id": self.wallets[to],
        }
        self._ask(person, key, ("PATCH", "/transaction/transfer"), body, "transfer", amount, to)

    @invariant()
    def balances_agree(self) -> None:
        for person, headers in enumerate(self.headers):
            response = self.client.get("/wallet", headers=headers)
            expected = self.model.balances.get(person)
            if expected is None:
                assert response.status_code == 404
            else:
                assert response.json()["balance"] == to_wire(expected, "NGN")
        assert sum(self.model.balances.values()) + self.model.outside == 0

    def _ask(
        self,
        person: int,
        key: str,
        call: tuple[str, str],
        body: Any,
        what: str,
        amount: int = 0,
        to: int = 0,
    ) -> httpx.Response:
        """Send a request and compare its answer with the model's, and with the first one."""
        name = key or str(uuid4())
        expected = self.model.ask(person, name, what, amount, to, wallet=self.wallets[to])
        response = self.client.request(
            *call, json=body, headers=self.headers[person] | {"X-Idempotency-Key": name}
        )
        assert response.status_code == expected, (what, response.text)
        answer = (response.status_code, response.content)
        if response.headers.get("Idempotency-Replayed"):
            assert answer == self.answers[person, name]
        elif "X-Cache-Lookup" in response.headers:
            self.answers[person, name] = answer
        return response

    def _sign_up(self) -> dict[str, str]:
        email = f"{uuid4().hex}@example.com"
        self.client.post(
            "/signup",
            json={
                "first_name": "Jane",
                "last_name": "Doe",
                "email": email,
                "password": PASSWORD,
            },
        ).raise_for_status()
        tokens = self.client.post("/token", data={"username": email, "password": PASSWORD}).json()
        return {"Authorization": f"Bearer {tokens['access_token']}"}
