"""Money in and out by a payment provider, and what the provider tells."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from core.errors import (
    BalanceLimitExceeded,
    IdempotencyInFlight,
    InsufficientFunds,
    InvalidJson,
    Unavailable,
    WalletFrozen,
    WalletNotFound,
)
from core.payment_errors import (
    BankAccountNotFound,
    CurrencyNotSupported,
    PaymentNotFound,
    PaymentRefused,
    PaymentsNotConfigured,
    ProviderUnavailable,
    WebhookSignatureInvalid,
)
from dependencies.attempts import UncachedKeyDep
from dependencies.caller import PUBLIC, DepositorDep, PayerDep, limit_transactions
from dependencies.payments import PaymentsDep, WebhookDep
from dependencies.services import ServicesDep
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.payments import (
    AccountQuery,
    BankAccountOut,
    BankOut,
    BanksOut,
    BanksQuery,
    DepositIn,
    DepositOut,
    PaymentBegun,
    PaymentOut,
    PaymentReference,
    PayoutIn,
    WebhookOut,
)

router = APIRouter(route_class=WalletRoute, tags=["Payments"])

Reference = Annotated[PaymentReference, Path()]


@router.post(
    "/wallet/deposit",
    status_code=201,
    response_model=DepositOut,
    responses=refusals(
        WalletNotFound,
        WalletFrozen,
        CurrencyNotSupported,
        BalanceLimitExceeded,
        PaymentRefused,
        IdempotencyInFlight,
        ProviderUnavailable,
        PaymentsNotConfigured,
    ),
    dependencies=[Depends(limit_transactions)],
)
async def start_deposit(
    services: ServicesDep,
    payments: PaymentsDep,
    caller: DepositorDep,
    body: DepositIn,
    pending: UncachedKeyDep,
) -> Response:
    """Begin to pay in with Paystack, at `authorization_url`. It is credited once it is paid."""
    currency = (await services.wallets.of_person(caller.principal_id)).balance.currency
    payments.check_currency("deposit", currency)
    command = body.command(caller.principal_id, currency)
    answer = await pending.settle(command, PaymentBegun.of, status=201)
    if answer.status == 201:
        reference = PaymentBegun.model_validate_json(answer.body).reference
        checkout = await payments.open_checkout(reference, is_repeated=answer.replayed)
        answer = replace(answer, body=DepositOut.of(reference, checkout).model_dump_json())
    return pending.respond(answer)


@router.get("/wallet/deposit/{reference}/status", responses=refusals(PaymentNotFound))
async def read_deposit(
    payments: PaymentsDep, caller: DepositorDep, reference: Reference
) -> PaymentOut:
    """Show how a deposit of one's own stands. This credits nothing."""
    return PaymentOut.of(await payments.read_own("deposit", reference, caller.principal_id))


@router.post(
    "/wallet/paystack/webhook",
    responses=refusals(
        WebhookSignatureInvalid, InvalidJson, ProviderUnavailable, PaymentsNotConfigured
    ),
    dependencies=[Depends(PUBLIC)],
)
async def hear_paystack(payments: PaymentsDep, webhook: WebhookDep) -> WebhookOut:
    """For Paystack: tells that something happened to a payment. Paystack is asked what it was."""
    heard = await webhook.read()
    if heard is not None:
        await payments.hear(heard)
    return WebhookOut()


@router.post(
    "/wallet/withdraw",
    status_code=201,
    response_model=PaymentOut,
    responses=refusals(
        WalletNotFound,
        WalletFrozen,
        CurrencyNotSupported,
        BankAccountNotFound,
        InsufficientFunds,
        PaymentsNotConfigured,
        Unavailable,
    ),
    dependencies=[Depends(limit_transactions)],
)
async def start_payout(
    services: ServicesDep,
    payments: PaymentsDep,
    caller: PayerDep,
    body: PayoutIn,
    pending: UncachedKeyDep,
) -> Response:
    """Pay out to a bank account with Paystack. The money leaves at once, and is back if it fails.

    A repeated request is told how the payout stands by then.
    """
    currency = (await services.wallets.of_person(caller.principal_id)).balance.currency
    payments.check_currency("payout", currency)
    command = body.command(caller.principal_id, currency)
    await payments.check_account(body.account)
    answer = await pending.settle(command, PaymentBegun.of, status=201)
    if answer.status == 201:
        reference = PaymentBegun.model_validate_json(answer.body).reference
        view = await payments.send_payout(reference, is_repeated=answer.replayed)
        answer = replace(answer, body=PaymentOut.of(view).model_dump_json())
    return pending.respond(answer)


@router.get("/wallet/withdraw/{reference}/status", responses=refusals(PaymentNotFound))
async def read_payout(payments: PaymentsDep, caller: PayerDep, reference: Reference) -> PaymentOut:
    """Show how a payout of one's own stands."""
    return PaymentOut.of(await payments.read_own("payout", reference, caller.principal_id))


@router.get(
    "/banks", responses=refusals(CurrencyNotSupported, ProviderUnavailable, PaymentsNotConfigured)
)
async def list_banks(
    payments: PaymentsDep, _caller: PayerDep, query: Annotated[BanksQuery, Query()]
) -> BanksOut:
    """List the banks that can be paid out to."""
    banks = await payments.list_banks(query.currency)
    return BanksOut(banks=[BankOut.of(bank) for bank in banks])


@router.get(
    "/banks/resolve",
    responses=refusals(BankAccountNotFound, ProviderUnavailable, PaymentsNotConfigured),
    dependencies=[Depends(limit_transactions)],
)
async def resolve_account(
    payments: PaymentsDep, _caller: PayerDep, query: Annotated[AccountQuery, Query()]
) -> BankAccountOut:
    """Tell whose account it is, to be shown before money is sent there."""
    name = await payments.resolve_account(query.account)
    return BankAccountOut(**query.model_dump(), account_name=name)
