"""A person's accounts: opening, looking at and closing them, their balances and their ledger."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from core.account_errors import AccountNotFound, TooManyAccounts
from core.accounts import find_account, list_accounts, read_account_entries, read_balance_at
from core.commands import AccountNumber, Closed, CloseWallet, OpenAccount, Opened
from core.errors import InvalidCursor, WalletFrozen, WalletNotEmpty
from core.payment_errors import PaymentUnderWay
from dependencies.attempts import OptionalKeyDep
from dependencies.caller import CallerDep, limit_transactions
from dependencies.services import ServicesDep
from routers.refusals import refusals
from routers.route import WalletRoute
from schemas.accounts import (
    AccountBalanceOut,
    AccountEntryOut,
    AccountLedgerOut,
    AccountOut,
    AccountsOut,
    BalanceQuery,
    OpenAccountIn,
)
from schemas.paging import PageQuery
from schemas.strict import AccountNumberText
from schemas.wallets import Message

router = APIRouter(prefix="/accounts", route_class=WalletRoute, tags=["Accounts"])

NumberInPath = Annotated[AccountNumberText, Path()]


@router.post(
    "",
    status_code=201,
    response_model=AccountOut,
    responses=refusals(TooManyAccounts),
    dependencies=[Depends(limit_transactions)],
)
async def open_account(caller: CallerDep, body: OpenAccountIn, pending: OptionalKeyDep) -> Response:
    """Open another account, empty, beside the wallet that `POST /wallet` opens."""

    def show(opened: Opened) -> AccountOut:
        return AccountOut.of_opened(opened, body.name)

    command = OpenAccount(user_id=caller.user_id, currency=body.currency, name=body.name)
    return await pending.post(command, show, status=201)


@router.get("", responses=refusals(InvalidCursor))
async def read_accounts(
    services: ServicesDep, caller: CallerDep, query: Annotated[PageQuery, Query()]
) -> AccountsOut:
    """List one's open accounts, newest first, the wallet of `GET /wallet` among them."""
    async with services.database.lean_turn() as connection:
        accounts, next_cursor = await list_accounts(connection, caller.user_id, query.part)
    return AccountsOut.model_construct(
        accounts=[AccountOut.of_owner(account) for account in accounts],
        limit=query.limit,
        offset=query.offset,
        next_cursor=next_cursor,
    )


@router.get("/{account_number}", responses=refusals(AccountNotFound))
async def read_account(
    services: ServicesDep, caller: CallerDep, account_number: NumberInPath
) -> AccountOut:
    """Show one of one's accounts, also after it was closed."""
    async with services.database.lean_turn() as connection:
        account = await find_account(connection, caller.user_id, account_number)
    return AccountOut.of_owner(account)


@router.delete(
    "/{account_number}",
    response_model=Message,
    responses=refusals(AccountNotFound, WalletNotEmpty, PaymentUnderWay, WalletFrozen),
    dependencies=[Depends(limit_transactions)],
)
async def close_account(
    caller: CallerDep, account_number: NumberInPath, pending: OptionalKeyDep
) -> Response:
    """Close an empty account of one's own. Its ledger stays."""

    def show(_closed: Closed) -> Message:
        return Message(message=f"account {account_number} closed")

    command = CloseWallet(wallet=AccountNumber(account_number, caller.user_id))
    return await pending.post(command, show)


@router.get("/{account_number}/balance", responses=refusals(AccountNotFound))
async def read_balance(
    services: ServicesDep,
    caller: CallerDep,
    account_number: NumberInPath,
    query: Annotated[BalanceQuery, Query()],
) -> AccountBalanceOut:
    """Show what an account holds or, with `at`, what it held at that time."""
    now = datetime.now(UTC)
    async with services.database.lean_turn() as connection:
        account = await find_account(connection, caller.user_id, account_number)
        if query.at is None:
            return AccountBalanceOut.of(account, account.balance, now)
        balance = await read_balance_at(connection, account, query.at)
    return AccountBalanceOut.of(account, balance, query.at)


@router.get("/{account_number}/ledger", responses=refusals(AccountNotFound, InvalidCursor))
async def read_ledger(
    services: ServicesDep,
    caller: CallerDep,
    account_number: NumberInPath,
    query: Annotated[PageQuery, Query()],
) -> AccountLedgerOut:
    """List every debit and credit of an account with the balance after it, newest first."""
    async with services.database.lean_turn() as connection:
        account = await find_account(connection, caller.user_id, account_number)
        entries, next_cursor = await read_account_entries(connection, account, query.part)
    return AccountLedgerOut.model_construct(
        entries=[AccountEntryOut.of(entry) for entry in entries],
        limit=query.limit,
        offset=query.offset,
        next_cursor=next_cursor,
    )
