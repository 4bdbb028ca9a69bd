"""pgbench doing one transfer with one SQL statement: what the database itself can do.

On tables of its own, of the ledger's shape, with the ledger's indexes and references. No keys, no
receipts, no snapshots to prove, nobody to authenticate.
"""

import asyncio
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncpg

from bench.traffic import Pattern

SCHEMA: Final = """
CREATE TABLE wallets (
    id bigint PRIMARY KEY,
    currency varchar(8) NOT NULL,
    balance_minor bigint NOT NULL CHECK (balance_minor >= 0),
    updated_at timestamptz NOT NULL
);
CREATE TABLE transactions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    type varchar(16) NOT NULL,
    state varchar(10) NOT NULL,
    wallet_id bigint NOT NULL REFERENCES wallets,
    counterparty_wallet_id bigint REFERENCES wallets,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency varchar(8) NOT NULL,
    created_at timestamptz NOT NULL
);
CREATE INDEX ON transactions (wallet_id, id);
CREATE INDEX ON transactions (counterparty_wallet_id, id);
CREATE TABLE entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transaction_id bigint NOT NULL REFERENCES transactions,
    wallet_id bigint REFERENCES wallets,
    entry_type varchar(6) NOT NULL,
    amount_minor bigint NOT NULL CHECK (amount_minor > 0),
    currency varchar(8) NOT NULL,
    balance_snapshot_minor bigint,
    created_at timestamptz NOT NULL,
    UNIQUE (transaction_id, entry_type)
);
CREATE INDEX ON entries (wallet_id, id);
INSERT INTO wallets SELECT id, 'NGN', 10000000000, now() FROM generate_series(1, {wallets}) AS id;
ANALYZE wallets;
"""

# Both wallets are locked in id order first, so that no two clients wait for each other.
STATEMENT: Final = """
WITH locked AS (
    SELECT id FROM wallets WHERE id IN (:payer, :payee) ORDER BY id FOR UPDATE
), moved AS (
    UPDATE wallets SET updated_at = now(), balance_minor = balance_minor
        + CASE wallets.id WHEN :payer THEN -125 ELSE 125 END
    FROM locked WHERE wallets.id = locked.id
    RETURNING wallets.id, wallets.balance_minor
), made AS (
    INSERT INTO transactions
        (type, state, wallet_id, counterparty_wallet_id, amount_minor, currency, created_at)
    VALUES ('transfer', 'SUCCESS', :payer, :payee, 125, 'NGN', now())
    RETURNING id
)
INSERT INTO entries (transaction_id, wallet_id, entry_type, amount_minor, currency,
    balance_snapshot_minor, created_at)
SELECT made.id, moved.id, CASE moved.id WHEN :payer THEN 'DEBIT' ELSE 'CREDIT' END, 125, 'NGN',
    moved.balance_minor, now()
FROM made, moved;
"""
# Another wallet than the payee's: a step of 1 to all but one further.
PAYEES: Final = {
    Pattern.UNIFORM: r"\set payee random(1, {wallets})",
    Pattern.HOT: r"\set payee 1",
}
PAYER: Final = r"\set payer 1 + (:payee + random(0, {wallets} - 2)) % {wallets}"

PROCESSED: Final = re.compile(r"number of transactions actually processed: (\d+)")
FAILED: Final = re.compile(r"number of failed transactions: (\d+)")
LATENCY: Final = re.compile(r"latency average = ([\d.]+) ms")
RATE: Final = re.compile(r"tps = ([\d.]+) \(without")


class PgbenchError(Exception):
    """pgbench did not do its work. The text is a sentence for whoever measures."""


@dataclass(frozen=True, slots=True)
class Played:
    """What pgbench reports: it waits for the end of every statement that it began."""

    processed: int
    failed: int
    rate: float
    mean_ms: float


class Pgbench:
    """A database of its own with wallets, and the program that moves money between them."""

    def __init__(self, program: Path, url: str, folder: Path, *, wallets: int):
        self._program = program
        self._url = url
        self._folder = folder
        self._wallets = wallets
        asyncio.run(self._create())

    def play(self, pattern: Pattern, *, clients: int, seconds: float) -> Played:
        """Move money for so many seconds, at least one. Raises PgbenchError when it fails."""
        script = self._folder / f"{pattern}.sql"
        choices = f"{PAYEES[pattern]}\n{PAYER}".format(wallets=self._wallets)
        script.write_text(f"{choices}{STATEMENT}", encoding="utf-8")
        command = [
            *(str(self._program), "--no-vacuum", "--protocol", "prepared"),
            *("--client", str(clients), "--jobs", "1", "--time", str(max(1, round(seconds)))),
            *("--file", str(script), self._url),
        ]
        ended = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds + 60
        )
        if ended.returncode != 0:
            raise PgbenchError(f"pgbench failed: {ended.stderr.strip()}")
        return parse(ended.stdout)

    def disproof(self, played: Played, *, before: int) -> str:
        """Say what is wrong with what it did, nothing if nothing is."""
        return asyncio.run(self._disproof(played, before))

    def count(self) -> int:
        """Count the transactions."""
        return asyncio.run(self._count())

    async def _create(self) -> None:
        connection = await asyncpg.connect(self._url)
        try:
            await connection.execute(SCHEMA.format(wallets=self._wallets))
        finally:
            await connection.close()

    async def _count(self) -> int:
        connection = await asyncpg.connect(self._url)
        try:
            return int(await connection.fetchval("SELECT count(*) FROM transactions"))
        finally:
            await connection.close()

    async def _disproof(self, played: Played, before: int) -> str:
        connection = await asyncpg.connect(self._url)
        try:
            written = await connection.fetchval("SELECT count(*) FROM transactions") - before
            entries = await connection.fetchval("SELECT count(*) FROM entries") - 2 * before
            money = await connection.fetchval("SELECT sum(balance_minor) FROM wallets")
        finally:
            await connection.close()
        if played.failed:
            return f"{played.failed} statements failed."
        if (written, entries) != (played.processed, 2 * played.processed):
            return f"{played.processed} statements left {written} transactions, {entries} entries."
        if money != self._wallets * 10_000_000_000:
            return f"The wallets hold {money} together, which is not what they began with."
        return ""


def parse(output: str) -> Played:
    """Read what pgbench printed. Raises PgbenchError when that is not a report."""
    found = [pattern.search(output) for pattern in (PROCESSED, FAILED, RATE, LATENCY)]
    values = [float(match[1]) for match in found if match is not None]
    if len(values) < len(found):
        raise PgbenchError(f"pgbench reported something else: {output.strip()}")
    processed, failed, rate, mean_ms = values
    return Played(processed=int(processed), failed=int(failed), rate=rate, mean_ms=mean_ms)
