"""Bugs in payments by a provider: what is believed, what is booked, what comes back."""

from typing import Final

from tests.planted.bug import Bug

_CORE = "tests/core/test_payments.py"
_ENDS = "tests/core/test_payment_ends.py"
_DOUBT = "tests/core/test_payouts_in_doubt.py"
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
        file="core/payments.py",
        old="report = await self._provider.verify_payout(reference)",
        new="report = None",
        breaks="A payout whose answer was lost is sent and given back as well.",
        tests=(f"{_CORE}::test_a_payout_that_the_provider_has_already_is_not_refused",),
    ),
    Bug(
        name="refused_because_known",
        file="core/payments.py",
        old="if is_known or asked_before is not None:",
        new="if asked_before is not None:",
        breaks="What the provider has already is given back as well.",
        tests=(_DOUBT,),
    ),
    Bug(
        name="first_miss_believed",
        file="core/payments.py",
        old="            if not _is_long_ago(asked_before):",
        new="            if asked_before is None:",
        breaks="A payout that was taken a moment ago is given back as well.",
        tests=(_DOUBT,),
    ),
    Bug(
        name="key_that_callers_can_send",
        file="core/payment_ends.py",
        old='return f"payment {reference} {what}"',
        new='return f"payment:{reference}:{what}"',
        breaks="A service takes the key that ends a payment, which then never ends.",
        tests=("tests/routers/test_payment_keys.py",),
    ),
    Bug(
        name="pending_payouts_expire",
        file="core/payments.py",
        old='if view.payment.kind == "deposit" and age >= LIFETIME:',
        new="if age >= LIFETIME:",
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
)
