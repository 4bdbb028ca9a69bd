"""Bugs in accounts and credits: who may name what, what is made when, and the past."""

from typing import Final

from tests.planted.bug import Bug

_CREDITS = "tests/core/test_credits.py"
_ANY = "tests/core/test_settlement.py::test_whatever_is_asked_the_books_stay_right"
_AT = "tests/core/test_balance_at.py::test_the_balance_at_any_time_is_that_of_a_replay"
_FREEZING = (
    "tests/operations/test_freeze.py"
    "::test_freezing_by_a_clock_that_is_behind_does_not_turn_the_wallets_time_back"
)
_OF_TIME = "tests/core/test_history_times.py::test_the_history_of_a_time_is_that_part_of_the_whole"
_PLANS = "tests/core/test_history_plans.py::test_a_page_of_a_time_reads_no_more_than_what_is_near"
_TRANSFERS = "tests/routers/test_transfers.py"
_TRANSACTIONS = "tests/routers/test_transactions.py"

BUGS: Final = (
    Bug(
        name="anybodys_account_is_ones_own",
        file="core/book.py",
        old="return account if user_id is None or account.user_id == user_id else None",
        new="return account",
        breaks="Whoever knows a number can empty the account.",
        tests=(_ANY, f"{_TRANSFERS}::test_only_from_an_account_of_ones_own"),
    ),
    Bug(
        name="credits_may_be_transferred",
        file="core/postings.py",
        old='if movement.type == "transfer" and not account.transferable:',
        new='if movement.type == "withdrawal" and not account.transferable:',
        breaks="Credits move between people.",
        tests=(f"{_CREDITS}::test_credits_reach_nobody_else",),
    ),
    Bug(
        name="credits_may_be_withdrawn",
        file="core/postings.py",
        old="if outside and not account.withdrawable:",
        new="if not outside and not account.withdrawable:",
        breaks="Credits leave the house, and come from nowhere.",
        tests=(f"{_CREDITS}::test_credits_reach_nobody_else",),
    ),
    Bug(
        name="assets_not_asked",
        file="core/look.py",
        old="        withdrawable=bool(withdrawable),\n",
        new="        withdrawable=True,\n",
        breaks="The rule is right, but nobody tells it what the asset allows.",
        tests=(f"{_CREDITS}::test_credits_reach_nobody_else",),
    ),
    Bug(
        name="spends_below_zero",
        file="core/booking.py",
        old="may_go_negative=holder_id is None,",
        new="may_go_negative=True,",
        breaks="Somebody spends credits that they were never given.",
        tests=(_ANY, f"{_CREDITS}::test_credits_are_given_and_taken_back"),
    ),
    Bug(
        name="spending_gives",
        file="core/commands.py",
        old='{"deposit", "top_up", "bonus", "payout_returned", "payout_reversed"}',
        new='{"deposit", "top_up", "bonus", "payout_returned", "payout_reversed", "spend"}',
        breaks="Whoever spends gets more.",
        tests=(f"{_CREDITS}::test_credits_are_given_and_taken_back",),
    ),
    Bug(
        name="spending_makes_a_holder",
        file="core/commands.py",
        old='frozenset[TransactionType]({"top_up", "bonus"})',
        new='frozenset[TransactionType]({"top_up", "bonus", "spend"})',
        breaks="Whoever mistypes a user's id makes a user.",
        tests=(f"{_CREDITS}::test_credits_are_given_and_taken_back",),
    ),
    Bug(
        name="holders_not_looked_for",
        file="core/look.py",
        old="            holders[text] = id_\n",
        new="            pass\n",
        breaks="The second top-up makes the holder again, which a constraint refuses for ever.",
        tests=(f"{_CREDITS}::test_credits_are_given_and_taken_back",),
    ),
    Bug(
        name="treasury_not_looked_for",
        file="core/look.py",
        old="_wallets_named(dialect_name).items() if way in ways]",
        new='_wallets_named(dialect_name).items() if way in ways - {"treasuries"}]',
        breaks="The second top-up opens the treasury again, which a constraint refuses for ever.",
        tests=(f"{_CREDITS}::test_credits_are_given_and_taken_back",),
    ),
    Bug(
        name="accounts_counted_under_no_lock",
        file="core/look.py",
        old='is_open, id_among(dialect_name, wallets.user_id, "owner_ids")',
        new='is_open, id_among(dialect_name, wallets.holder_id, "owner_ids")',
        breaks="Two processes each open the hundredth account.",
        tests=(f"{_CREDITS}::test_the_hundredth_account_waits_for_a_rival",),
    ),
    Bug(
        name="two_receipts_for_one_person",
        file="core/booking.py",
        old="account.user_id is not None and account.user_id != told:",
        new="account.user_id is not None:",
        breaks="A transfer between one's own accounts breaks a constraint: 503 for ever.",
        tests=(f"{_CREDITS}::test_moving_between_ones_own_accounts_promises_one_receipt",),
    ),
    Bug(
        name="clock_goes_back",
        file="core/ledger.py",
        old="now=max(datetime.now(UTC), seen.newest) if seen.newest else datetime.now(UTC),",
        new="now=datetime.now(UTC),",
        breaks="The balance at a time misses entries of a process whose clock is ahead.",
        tests=(f"{_CREDITS}::test_time_never_goes_back_for_a_wallet",),
    ),
    Bug(
        name="balance_just_before",
        file="core/times.py",
        old="is_early = probe.c.created_at <= at",
        new="is_early = probe.c.created_at < at",
        breaks="The balance at the very time of an entry is the one before it.",
        tests=(_AT,),
    ),
    Bug(
        name="history_ends_at_a_late_deposit",
        file="core/times.py",
        old="entries.id > last.c.entry_id, ~moves_later)",
        new="entries.id > last.c.entry_id)",
        breaks="A deposit that arrived late hides what was done while it was under way.",
        tests=(_OF_TIME,),
    ),
    Bug(
        name="history_begins_by_ones_own_clock",
        file="core/times.py",
        old="max(since, _EARLIEST) - CLOCKS_APART}",
        new="max(since, _EARLIEST)}",
        breaks="A failed attempt told by a clock that is ahead is missing from the history.",
        tests=(_OF_TIME,),
    ),
    Bug(
        name="history_reads_what_came_later",
        file="core/times.py",
        old="near.append((operator.lt, _transactions_after(",
        new="near.append((operator.ne, _transactions_after(",
        breaks="The history until an early time reads all that has happened since.",
        tests=(_PLANS,),
    ),
    Bug(
        name="history_reads_what_came_before",
        file="core/times.py",
        old="near.append((operator.gt, _transactions_before(",
        new="near.append((operator.ne, _transactions_before(",
        breaks="The history since a late time reads all that had happened before.",
        tests=(_PLANS,),
    ),
    Bug(
        name="freezing_turns_time_back",
        file="core/wallets.py",
        old="updated_at=updated_at)",
        new="updated_at=now)",
        breaks="After freezing by a clock that is behind, the balance at a time misses entries.",
        tests=(_FREEZING,),
    ),
    Bug(
        name="accounts_missing_from_history",
        file="core/paging.py",
        old="parts += [select(*short(rows_of, owner).subquery().c) for owner in named]",
        new="parts += [select(*short(rows_of, owner).subquery().c) for owner in named[:2]]",
        breaks="The history of whoever has three accounts is that of two of them.",
        tests=(f"{_TRANSACTIONS}::test_the_history_is_of_all_accounts_however_many",),
    ),
    Bug(
        name="received_transfers_missing",
        file="core/history.py",
        old='if type_ in {None, "transfer"} else',
        new="if type_ is None else",
        breaks="Whoever looks for their transfers does not see what was sent to them.",
        tests=(f"{_TRANSACTIONS}::test_the_history_is_of_all_accounts_however_many",),
    ),
    Bug(
        name="nothing_found_costs_a_connection",
        file="db/batches.py",
        old="        lender.give_back(lent, fit=connection.is_fit)\n\n\ndef",
        new="        lender.give_back(lent, fit=False)\n\n\ndef",
        breaks="Whoever asks for what is not there makes PostgreSQL open a connection each time.",
        tests=("tests/db/test_lean.py::test_whoever_finds_nothing_costs_no_connection",),
    ),
    Bug(
        name="pages_take_no_turns",
        file="db/session.py",
        old="async with self._turn_to_read(), self._looking(self._lender_of_turns) as connection:",
        new="async with self._looking(self._lender_of_turns) as connection:",
        breaks="Many readers take every connection, and overtake each other until it is too late.",
        tests=("tests/db/test_turns.py::test_nobody_overtakes",),
    ),
    Bug(
        name="transfer_seen_by_anybody",
        file="core/transfers.py",
        old="own.user_id == user_id,",
        new="own.user_id.is_not(None),",
        breaks="Whoever has an id sees what others paid whom.",
        tests=(f"{_TRANSFERS}::test_a_refused_transfer_is_recorded_under_an_id",),
    ),
    Bug(
        name="id_not_checked",
        file="core/transfers.py",
        old='            transactions.created_at == bindparam("created_at"),\n',
        new="",
        breaks="Ids that were never handed out name transfers: they can be counted through.",
        tests=(f"{_TRANSFERS}::test_an_id_that_was_not_handed_out_names_nothing",),
    ),
)
