"""Bugs in how batches and pages speak to the databases: what is begun, lent, said and written."""

from typing import Final

from tests.planted.bug import Bug

BUGS: Final = (
    Bug(
        name="chained_after_a_failure",
        file="db/batches.py",
        old="            chain = False\n            # One",
        new="            # One",
        breaks="After a batch that failed, the next takes a transaction for begun that is not.",
        tests=("tests/db/test_lean.py::test_nobody_is_told_of_a_commit_that_did_not_happen",),
    ),
    Bug(
        name="lent_in_a_transaction",
        file="db/lender.py",
        old="fit and not lent.is_closed() and not lent.is_in_transaction()",
        new="fit and not lent.is_closed()",
        breaks="What one batch left open is where the next one's statements go, and are lost.",
        tests=("tests/db/test_lender.py::test_what_is_closed_busy_or_unfit_is_not_lent_again",),
    ),
    Bug(
        name="kept_from_whoever_waits",
        file="db/lender.py",
        old="fit and not self._asking and self._lent",
        new="fit and self._lent",
        breaks="A batch waits in the pool in vain while a connection lies idle: 503 for all in it.",
        tests=("tests/db/test_lender.py::test_whoever_waits_in_the_pool_gets_what_comes_back",),
    ),
    Bug(
        name="begun_is_believed",
        file="db/batches.py",
        old="if lent is None or (not lent.is_closed() and lent.is_in_transaction()):",
        new="if True:",
        breaks="A batch without its transaction is committed piece by piece.",
        tests=("tests/db/test_lean.py::test_a_transaction_that_is_no_more_is_begun_anew",),
    ),
    Bug(
        name="what_failed_is_committed",
        file="db/lean.py",
        old="                self._failed = True\n",
        new="",
        breaks="SQLite keeps the half of a batch that came before a statement which failed.",
        tests=("tests/db/test_lean.py::test_nobody_is_told_of_a_commit_that_did_not_happen",),
    ),
    Bug(
        name="cut_off_and_not_given_up",
        file="db/lean.py",
        old="        return self._unanswered == 0\n",
        new="        return True\n",
        breaks="The next one speaks on a connection on which something still goes on.",
        tests=(
            "tests/db/test_lean.py"
            "::test_whoever_is_cut_off_waiting_for_the_lock_does_not_get_it_later",
        ),
    ),
    Bug(
        name="empty_places_are_written",
        file="db/bulk.py",
        old="*nothing, len(part))",
        new="*nothing, places)",
        breaks="On SQLite a batch writes rows of nothing beside its own, or cannot be written.",
        tests=("tests/db/test_bulk.py::test_each_row_is_written_with_its_own_values",),
    ),
    Bug(
        name="places_are_shared",
        file="db/bulk.py",
        old='f"given.column{number}" for number, name in enumerate(step.varying, 1)',
        new='f"given.column{max(number, 2)}" for number, name in enumerate(step.varying, 1)',
        breaks="On SQLite a column is written with what belongs into its neighbour.",
        tests=("tests/db/test_bulk.py::test_each_row_is_written_with_its_own_values",),
    ),
    Bug(
        name="little_patience_stays",
        file="db/batches.py",
        old='f"SET LOCAL lock_timeout',
        new='f"SET lock_timeout',
        breaks="Once somebody held a wallet, all batches after it give up on one far too early.",
        tests=("tests/db/test_lean.py::test_patience_lasts_for_its_own_transaction",),
    ),
    Bug(
        name="failed_commit_stays_open",
        file="db/session.py",
        old="    if state.asyncio_safe and connection.driver_connection.in_transaction:\n",
        new="    if False:\n",
        breaks="After a COMMIT that failed, SQLite's one writer can begin nothing any more.",
        tests=("tests/db/test_lean.py::test_a_commit_that_fails_leaves_nothing_open",),
    ),
    Bug(
        name="pgbouncer_before_sqlite",
        file="db/session.py",
        old="options.pgbouncer and not is_sqlite",
        new="options.pgbouncer",
        breaks="With a setting that is not for it, SQLite can be asked nothing.",
        tests=("tests/db/test_lean.py::test_pgbouncer_means_nothing_to_sqlite",),
    ),
    Bug(
        name="proofs_may_loop",
        file="db/engines.py",
        old='    "SET LOCAL enable_nestloop = off",\n',
        new="",
        breaks="Proving the rules of a young ledger takes hours, and what measures waits for it.",
        tests=(
            "tests/core/test_verification.py"
            "::test_proofs_pair_no_table_with_another_row_by_row[postgresql]",
        ),
    ),
)
