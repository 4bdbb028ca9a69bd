"""Bugs in how money is posted: locks, rules, entries, batches and the commit."""

from typing import Final

from tests.planted.bug import Bug

_LEDGER = "tests/core/test_ledger.py"
_POSTER = "tests/core/test_poster.py"
_LINE = "tests/core/test_line.py"
_CHAINED = "tests/core/test_chained_batches.py"
_RULES = "tests/core/test_postings.py::test_the_reasons"
_REFUSALS = "tests/routers/test_transactions.py::test_refusals_change_nothing_and_are_recorded"
_TRANSFER = "tests/routers/test_transactions.py::test_a_transfer_and_its_entries"
_WAITS = f"{_LEDGER}::test_a_batch_waits_for_the_wallets_of_another"
_UNKNOWN = f"{_POSTER}::test_an_unknown_outcome_of_commit_is_resolved_by_the_key"

BUGS: Final = (
    Bug(
        name="only_the_first_deadline_is_watched",
        file="core/batching.py",
        old="                self._timer = loop.call_at(again_at, self._give_up)\n",
        new="",
        breaks="Whoever comes while another waits may wait without end when the database hangs.",
        tests=("tests/core/test_batching.py::test_each_waits_until_its_own_deadline",),
    ),
    Bug(
        name="left_for_ever",
        file="core/batching.py",
        old="            if self._waiting:\n                self._start_later()\n",
        new="",
        breaks="An answer stays out of Redis, and its lock in there, until somebody else comes.",
        tests=("tests/core/test_batching.py::test_what_is_left_for_nobody_runs_soon",),
    ),
    Bug(
        name="wallets_not_locked",
        file="core/look.py",
        old="        .order_by(wallets.id)\n        .with_for_update()\n",
        new="        .order_by(wallets.id)\n",
        breaks="Two processes decide on the same balance, and one of the movements is lost.",
        tests=(f"{_WAITS}[postgresql]",),
    ),
    Bug(
        name="sqlite_begins_late",
        file="db/session.py",
        old='begin, keep = "BEGIN IMMEDIATE", 0',
        new='begin, keep = "BEGIN", 0',
        breaks="On SQLite a batch reads before it is the only writer, and fails when it writes.",
        tests=(f"{_WAITS}[sqlite]",),
    ),
    Bug(
        name="answers_before_commit",
        file="core/poster.py",
        old="""\
                async with transaction as connection:
                    answers = await ledger.post(connection, attempts, self._looked)
                    settled = _firsts(answers, in_doubt)
                    # Whether that is what happened, the commit has yet to say.
                    in_doubt = settled
                    return settled
""",
        new="""\
                answers = await ledger.post(await transaction.__aenter__(), attempts)
                self._late = asyncio.create_task(transaction.__aexit__(None, None, None))
                return answers
""",
        breaks="People are told of money that is not safe yet, and may never be.",
        tests=(f"{_POSTER}::test_nobody_is_answered_before_the_commit",),
    ),
    Bug(
        name="line_is_stood_in_for_nothing",
        file="core/poster.py",
        old="        if self._in_line == 0:\n            return\n",
        new="",
        breaks="Processes that are not in each other's way wait for each other all the same.",
        tests=(f"{_LINE}::test_nobody_stands_in_line_for_nothing[postgresql]",),
    ),
    Bug(
        name="line_keeps_itself",
        file="core/poster.py",
        old="            await self._database.stand_in_line()\n",
        new="""\
            await self._database.stand_in_line()
            self._in_line = STAY_IN_LINE
""",
        breaks="After one slow look all processes post in single file as long as there is load.",
        tests=(f"{_LINE}::test_nobody_stands_in_line_for_nothing[postgresql]",),
    ),
    Bug(
        name="formed_before_its_turn",
        file="core/batching.py",
        old="                    await self._before()\n",
        new="                    pass\n",
        breaks="Batches of two processes on one wallet are half as large, and each is slower.",
        tests=(f"{_LINE}::test_whoever_comes_before_the_turn_is_in_the_batch[postgresql]",),
    ),
    Bug(
        name="line_is_kept_for_a_held_wallet",
        file="core/poster.py",
        old="                    self._step_aside()\n                self._observer",
        new="                    pass\n                self._observer",
        breaks="Whoever holds a wallet by hand holds up all processes that stand in line.",
        tests=(f"{_LINE}::test_whoever_waits_for_a_held_wallet_keeps_nobody_in_line[postgresql]",),
    ),
    Bug(
        name="turn_is_kept",
        file="db/lean.py",
        old="FROM pg_advisory_xact_lock(",
        new="FROM pg_advisory_lock(",
        breaks="A process keeps its turn for ever, and all others wait a second for each batch.",
        tests=(f"{_LINE}::test_a_turn_ends_with_its_batch[postgresql]",),
    ),
    Bug(
        name="begun_for_nobody",
        file="core/poster.py",
        old="return self._batcher.waiting > 0",
        new="return True",
        breaks="The last batch leaves a transaction open, until somebody comes or it is ended.",
        tests=(f"{_CHAINED}::test_waiting_batches_share_one_beginning[postgresql]",),
    ),
    Bug(
        name="unknown_commit_given_up",
        file="core/poster.py",
        old="if fault is Fault.UNAVAILABLE and not tries_left:",
        new="if fault is Fault.UNAVAILABLE:",
        breaks="A connection lost at COMMIT is answered 503 although a second look would tell.",
        tests=(_UNKNOWN,),
    ),
    Bug(
        name="unknown_commit_guessed",
        file="core/poster.py",
        old="return [Unavailable() for _ in attempts]",
        new='return [Answer(200, "{}", replayed=False) for _ in attempts]',
        breaks="A commit that nobody knows the outcome of is told as a success.",
        tests=(f"{_POSTER}::test_an_outcome_that_stays_unknown_is_not_guessed",),
    ),
    Bug(
        name="unknown_commit_retried_under_a_new_key",
        file="core/poster.py",
        old="            await asyncio.sleep(BACKOFF_SECONDS",
        new="""\
            from dataclasses import replace
            from uuid import uuid4

            attempts = [replace(item, key=str(uuid4())) for item in attempts]
            await asyncio.sleep(BACKOFF_SECONDS""",
        breaks="The second try does not find what the first one did, and moves the money again.",
        tests=(_UNKNOWN,),
    ),
    Bug(
        name="batch_fails_as_a_whole",
        file="core/poster.py",
        old="""\
        if len(attempts) == 1:
            return [InternalError() if fault is Fault.DEFECT else Unavailable()]
""",
        new="""\
        if attempts:
            return [InternalError() if fault is Fault.DEFECT else Unavailable() for _ in attempts]
""",
        breaks="One bad command fails all that happen to be in its batch.",
        tests=(f"{_POSTER}::test_one_bad_command_never_fails_its_neighbours",),
    ),
    Bug(
        name="lost_race_is_a_defect",
        file="db/faults.py",
        old='frozenset({"40001", "40P01", "23505", "23001"})',
        new='frozenset({"40001", "40P01", "23001"})',
        breaks="Whoever loses a race for a key, an email or a wallet in another process gets 500.",
        tests=(
            f"{_LEDGER}::test_whoever_loses_a_race_for_a_key_finds_the_winners_answer[postgresql]",
        ),
    ),
    Bug(
        name="last_unit_not_spendable",
        file="core/postings.py",
        old="change_minor < 0 and after < 0 and",
        new="change_minor < 0 and after <= 0 and",
        breaks="Nobody can spend all they have.",
        tests=("tests/core/test_postings.py::test_a_movement_is_refused_only_for_a_reason",),
    ),
    Bug(
        name="one_unit_too_many",
        file="core/postings.py",
        old="change_minor < 0 and after < 0 and",
        new="change_minor < 0 and after < -1 and",
        breaks="A wallet may be overdrawn by one minor unit.",
        tests=(_RULES,),
    ),
    Bug(
        name="funds_not_checked",
        file="core/postings.py",
        old="if change_minor < 0 and after < 0 and not account.may_go_negative:",
        new="if change_minor < 0 and after < -MAX_MINOR:",
        breaks="Nothing but the database's CHECK stops an overdraft, which is then a 500.",
        tests=(_RULES, _REFUSALS),
    ),
    Bug(
        name="ceiling_not_checked",
        file="core/postings.py",
        old="if after > MAX_MINOR or",
        new="if after > MAX_MINOR * 10 or",
        breaks="A balance outgrows what JSON numbers carry exactly.",
        tests=("tests/routers/test_transactions.py::test_a_balance_has_a_ceiling",),
    ),
    Bug(
        name="recipient_may_be_frozen",
        file="core/postings.py",
        old="    if account.frozen and not movement.ends_payment:\n",
        new="    if account.frozen and account.id == movement.wallet_id:\n",
        breaks="Money moves into a wallet that an operator froze.",
        tests=("tests/operations/test_freeze.py::test_nothing_moves_in_or_out_of_a_frozen_wallet",),
    ),
    Bug(
        name="recipient_currency_not_checked",
        file="core/postings.py",
        old="if account.currency != movement.money.currency:",
        new="if account.currency != movement.money.currency and account.id == movement.wallet_id:",
        breaks="Ten naira arrive as ten dollars.",
        tests=(_REFUSALS,),
    ),
    Bug(
        name="house_may_be_paid_into",
        file="core/book.py",
        old="    if account is None or account.user_id is None:\n",
        new="    if account is None:\n",
        breaks="A system account takes people's transfers.",
        tests=(_RULES,),
    ),
    Bug(
        name="transfer_to_oneself",
        file="core/postings.py",
        old="if other is own:",
        new="if other is None and own is None:",
        breaks="A transfer to oneself makes money: both sides start from the same balance.",
        tests=(_RULES,),
    ),
    Bug(
        name="sides_swapped",
        file="core/booking.py",
        old='(("DEBIT", posting.debit), ("CREDIT", posting.credit))',
        new='(("CREDIT", posting.debit), ("DEBIT", posting.credit))',
        breaks="The ledger says the opposite of what happened.",
        tests=(_TRANSFER,),
    ),
    Bug(
        name="snapshot_of_the_other_side",
        file="core/booking.py",
        old="self.records.add_entry(transaction_id, entry_type, side, movement.money)",
        new="""other = posting.credit if side is posting.debit else posting.debit
            shown = side.balance_minor if other.wallet_id is None else other.balance_minor
            told = side.__class__(side.wallet_id, side.wallet_id and shown)
            self.records.add_entry(transaction_id, entry_type, told, movement.money)""",
        breaks="An entry shows what the other party owns, and the ledger does not add up.",
        tests=(_TRANSFER,),
    ),
    Bug(
        name="snapshot_before_the_movement",
        file="core/booking.py",
        old="self.records.add_entry(transaction_id, entry_type, side, movement.money)",
        new="""change = movement.money.minor if entry_type == "DEBIT" else -movement.money.minor
            before = None if side.balance_minor is None else side.balance_minor + change
            told = side.__class__(side.wallet_id, before)
            self.records.add_entry(transaction_id, entry_type, told, movement.money)""",
        breaks="An entry shows the balance before it, not after it.",
        tests=(_TRANSFER,),
    ),
    Bug(
        name="answer_shows_the_recipients_balance",
        file="core/booking.py",
        old="balance_minor=self._book.get(movement.wallet_id).balance_minor,",
        new="balance_minor=posting.credit.balance_minor or 0,",
        breaks="The sender of a transfer is told what the recipient owns.",
        tests=(_TRANSFER,),
    ),
    Bug(
        name="ledger_shows_the_others_balance",
        file="core/history.py",
        old="balance if owner_id == user_id else None",
        new="balance",
        breaks="Either party of a transfer sees what the other owns.",
        tests=(_TRANSFER,),
    ),
    Bug(
        name="closes_with_money",
        file="core/postings.py",
        old="if wallet.balance_minor != 0:",
        new="if wallet.balance_minor < 0:",
        breaks="A wallet is closed with money in it, or, since a CHECK refuses it, a 500.",
        tests=(
            "tests/routers/test_wallets.py::test_closing_keeps_history_and_makes_room_for_another",
        ),
    ),
    Bug(
        name="entries_may_change",
        file="alembic/versions/2026_11_20_append_only.py",
        old='    ("entries", "UPDATE", None),\n',
        new="",
        breaks="An entry can be edited by hand.",
        tests=("tests/db/test_constraints.py::test_what_was_written_stays",),
    ),
)
