"""Bugs in payments by a provider: what is believed, what is booked, what comes back."""

from typing import Final

from tests.planted.bug import Bug

_CORE = "tests/core/test_payments.py"
_KEYS = "tests/routers/test_payment_keys.py"
_LEASES = "tests/core/test_leases.py"
_REMEDIES = "tests/core/test_payment_remedies.py"
_ENDS = "tests/core/test_payment_ends.py"
_DOUBT = "tests/core/test_payouts_in_doubt.py"
_DEPOSITS = "tests/core/test_deposits_in_doubt.py"
_CLIENT = "tests/integrations/test_paystack.py"
_FORGED = f"{_CLIENT}::test_other_signatures_are_none"

BUGS: Final = (
    Bug(
        name="signature_compared_in_part",
        file="integrations/paystack.py",
        old="return hmac.compare_digest(expected.encode(), signature.encode())",
        new="return expected.startswith(signature)",
        breaks="An empty signature signs everything.",
        tests=(_FORGED,),
    ),
    Bug(
        name="empty_secret_signs",
        file="integrations/paystack.py",
        old="    if not secret:\n        return False\n",
        new="",
        breaks="Anybody can sign for a service that has no key.",
        tests=(_FORGED,),
    ),
    Bug(
        name="amount_not_compared",
        file="core/payment_ends.py",
        old="if (report.reference, report.money) != (payment.reference, payment.money):",
        new="if report.reference != payment.reference:",
        breaks="Whoever pays less is credited all that they asked for.",
        tests=(f"{_CORE}::test_what_was_not_asked_for_is_not_credited",),
    ),
    Bug(
        name="ends_by_a_key_of_its_own",
        file="core/payment_ends.py",
        old='await self._post(view, "end", command)',
        new='await self._post(view, f"end-{failure_code}", command)',
        breaks="A payment that failed may succeed afterwards, and be booked twice.",
        tests=(f"{_ENDS}::test_the_first_end_stands_for_whoever_looked_before",),
    ),
    Bug(
        name="returned_payouts_are_settled",
        file="core/payment_settlement.py",
        old='"payout_returned" if failure_code else "payout_settled"',
        new='"payout_settled"',
        breaks="What a failed payout took is lost to its owner.",
        tests=(f"{_CORE}::test_a_payout_that_fails_is_back_once",),
    ),
    Bug(
        name="reversals_only_before_success",
        file="core/payment_ends.py",
        old='if await self.end(view, f"payout_{report.verdict}") is None:',
        new='if await self.end(view, f"payout_{report.verdict}") == "":',
        breaks="What comes back after it arrived is kept by the house.",
        tests=(f"{_CORE}::test_what_comes_back_after_it_arrived_is_back_once",),
    ),
    Bug(
        name="refused_although_known",
        file="core/payouts.py",
        old="report = await self._provider.verify_payout(reference)",
        new="report = None",
        breaks="A payout whose answer was lost is sent and given back as well.",
        tests=(f"{_CORE}::test_a_payout_that_the_provider_has_already_is_not_refused",),
    ),
    Bug(
        name="refused_because_known",
        file="core/payouts.py",
        old="if is_known or asked_before is not None:",
        new="if asked_before is not None:",
        breaks="What the provider has already is given back as well.",
        tests=(
            f"{_DOUBT}::test_what_the_provider_has_is_not_given_back_although_it_does_not_find_it",
        ),
    ),
    Bug(
        name="first_miss_believed",
        file="core/payouts.py",
        old="if view.provider_status is not None or not _is_long_ago(asked_before):",
        new="if view.provider_status is not None:",
        breaks="A payout that was taken a moment ago is given back as well.",
        tests=(f"{_DOUBT}::test_a_refusal_after_an_unknown_outcome_is_not_believed_at_once",),
    ),
    Bug(
        name="key_that_callers_can_send",
        file="core/payment_ends.py",
        old='return f"payment {reference} {what}"',
        new='return f"payment:{reference}:{what}"',
        breaks="A service takes the key that ends a payment, which then never ends.",
        tests=(f"{_KEYS}::test_a_service_cannot_take_the_key_that_ends_a_payment",),
    ),
    Bug(
        name="pending_payouts_expire",
        file="core/payments.py",
        old="            await self._ends.conclude(view, report, is_final=True)\n",
        new='            await self._ends.end(view, "expired")\n',
        breaks="A slow payout is given back, and arrives as well.",
        tests=(f"{_CORE}::test_a_payout_that_may_still_arrive_is_never_given_up",),
    ),
    Bug(
        name="closed_with_a_payment_under_way",
        file="core/postings.py",
        old="if book.pending_payments[wallet.id] > 0:",
        new="if book.pending_payments[wallet.id] > 100:",
        breaks="Money arrives for a wallet that is closed.",
        tests=(f"{_CORE}::test_a_wallet_with_a_payment_under_way_is_not_closed",),
    ),
    Bug(
        name="frozen_payments_never_end",
        file="core/payment_settlement.py",
        old="            return Move(type_, own, None, payment.money, ends_payment=True)",
        new="            return Move(type_, own, None, payment.money)",
        breaks="What a person paid in is not credited while their wallet is frozen.",
        tests=(f"{_CORE}::test_a_freeze_holds_up_new_payments_and_not_the_end_of_old_ones",),
    ),
    Bug(
        name="more_lent_than_asked_for",
        file="core/leases.py",
        old="        .limit(limit)\n",
        new="",
        breaks="A worker is given all that is due, and leases end before it is through.",
        tests=(f"{_LEASES}::test_no_more_is_lent_than_was_asked_for",),
    ),
    Bug(
        name="lent_within_the_condition",
        file="core/leases.py",
        old="""\
        .cte("due")
        .prefix_with("MATERIALIZED")
    )
    connection = await session.connection()
    taken = await connection.execute(
        update(table).where(rows.id == due.c.id).values""",
        new="""\
    )
    connection = await session.connection()
    taken = await connection.execute(
        update(table).where(rows.id.in_(due.scalar_subquery()), is_open).values""",
        breaks="PostgreSQL may look for what is due again for each row, and lends all of it.",
        tests=(f"{_LEASES}::test_no_more_is_lent_than_was_asked_for",),
    ),
    Bug(
        name="lease_not_renewed",
        file="core/payment_rows.py",
        old="return leased_until > now and await _borrow(session, held, now)",
        new="return True",
        breaks="Whoever waited for too long asks for a payout that somebody else is asking for.",
        tests=(f"{_LEASES}::test_who_has_a_payment_no_more_does_not_ask",),
    ),
    Bug(
        name="asked_for_without_a_lease",
        file="core/payment_rows.py",
        old="held = (payments.id == view.id) & (payments.due_at == view.due_at)",
        new="held = payments.id == view.id",
        breaks="A refusal of a payout counts as the first, although another worker asked as well.",
        tests=(f"{_LEASES}::test_who_lost_a_payout_while_looking_does_not_ask_for_it",),
    ),
    Bug(
        name="never_put_off_for_longer",
        file="core/payment_rows.py",
        old='"due_at": now + wait_after(attempts)}',
        new='"due_at": now + FIRST_WAIT}',
        breaks="The provider is asked four times a minute about each page that nobody pays on.",
        tests=(f"{_DEPOSITS}::test_the_provider_is_asked_less_often_each_time",),
    ),
    Bug(
        name="declined_since_it_began",
        file="core/payments.py",
        old="(view.declined_at or now) if",
        new="view.created_at if",
        breaks="Who takes an hour to find another card pays for nothing.",
        tests=(f"{_DEPOSITS}::test_a_decline_counts_an_hour_after_it_was_first_seen",),
    ),
    Bug(
        name="expired_while_being_paid",
        file="core/payments.py",
        old='longest = LIFETIME if report.verdict == "abandoned" else LONGEST_LIFETIME',
        new="longest = LIFETIME",
        breaks="What a bank transfer pays after a day is not credited.",
        tests=(f"{_DEPOSITS}::test_a_deposit_that_somebody_is_paying_is_waited_for",),
    ),
    Bug(
        name="refused_end_not_posted_again",
        file="core/payment_ends.py",
        old="""\
        except WalletError:
            return (await self._poster.post(attempt)).body
""",
        new="""\
        except WalletError:
            raise
""",
        breaks="Of two processes that hear of a payout at once, one wants to hear it again.",
        tests=(f"{_ENDS}::test_an_end_heard_by_several_processes_at_once_is_heard_by_all",),
    ),
    Bug(
        name="credited_without_asking",
        file="core/payment_remedies.py",
        old='if report is None or report.verdict != "success":',
        new="if report is None:",
        breaks="An operator credits what nobody paid.",
        tests=(f"{_REMEDIES}::test_what_the_provider_does_not_confirm_is_not_credited",),
    ),
)
