"""Money in and out by a payment provider, and what the provider tells."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from core.commands import StartPayment
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
    DepositEnded,
    PaymentNotFound,
    PaymentRefused,
    PaymentsNotConfigured,
    ProviderUnavailable,
    WebhookSignatureInvalid,
)
from dependencies.attempts import UncachedKeyDep
from dependencies.caller import PUBLIC, DepositorDep, PayerDep, limit_transactions
from dependencies.payments import PaymentsDep, WebhookDep, begin_payment
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
        DepositEnded,
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

    async def prepare() -> StartPayment:
        currency = (await services.wallets.of_person(caller.principal_id)).balance.currency
        payments.check_currency("deposit", currency)
        return body.command(caller.principal_id, currency)

    begun = await begin_payment(pending, prepare())
    if begun.reference is None:
        return pending.respond(begun.answer)
    checkout = await payments.open_checkout(begun.reference, is_repeated=begun.is_repeated)
    return pending.respond(begun.told(DepositOut.of(begun.reference, checkout)))


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
    """Pay out to a bank account. The money leaves at once; the same key tells how it stands."""

    async def prepare() -> StartPayment:
        currency = (await services.wallets.of_person(caller.principal_id)).balance.currency
        payments.check_currency("payout", currency)
        await payments.banks.check_account(body.account)
        return body.command(caller.principal_id, currency)

    begun = await begin_payment(pending, prepare())
    if begun.reference is None:
        return pending.respond(begun.answer)
    view = await payments.send_payout(begun.reference, is_repeated=begun.is_repeated)
    return pending.respond(begun.told(PaymentOut.of(view)))


@router.get("/wallet/withdraw/{reference}/status", responses=refusals(PaymentNotFound))
async def read_payout(payments: PaymentsDep, caller: PayerDep, reference: Reference) -> PaymentOut:
    """Show how a payout of one's own stands."""
    return PaymentOut.of(await payments.read_own("payout", reference, caller.principal_id))


@router.get(
    "/banks",
    responses=refusals(CurrencyNotSupported, ProviderUnavailable, PaymentsNotConfigured),
    dependencies=[Depends(limit_transactions)],
)
async def list_banks(
    payments: PaymentsDep, _caller: PayerDep, query: Annotated[BanksQuery, Query()]
) -> BanksOut:
    """List the banks that can be paid out to."""
    banks = await payments.banks.list_banks(query.currency)
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
    name = await payments.banks.resolve_account(query.account)
    return BankAccountOut(**query.model_dump(), account_name=name)
