"""The local Paystack's web application."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from devtools.paystack.books import (
    ALWAYS_FAILS,
    BANKS,
    COMES_BACK,
    NEEDS_OTP,
    NOT_AN_ACCOUNT,
    REFUSED,
    STAYS_PENDING,
    Books,
    Charge,
    Transfer,
)
from devtools.paystack.pages import checkout_page, done_page, standing, transfers_page
from devtools.paystack.webhooks import Webhooks

# Ends that a transfer comes to by itself, after so many seconds each.
_FATES: Final = {
    ALWAYS_FAILS: ("failed",),
    COMES_BACK: ("success", "reversed"),
    NEEDS_OTP: (),
    STAYS_PENDING: (),
}

Handler = Callable[[Request], Awaitable[Response]]
# Told the path of each call; may wait, and returns an answer to give instead of the right one.
Trouble = Callable[[str], Awaitable[Response | None]]


class LocalPaystack:
    """Answers the calls that the wallet makes, under `secret`, and sends what it has to tell.

    `trouble` is for tests: see Trouble. `arrival_seconds` is how long a transfer takes.
    """

    def __init__(self, *, secret: str, webhook_url: str | None, arrival_seconds: float = 2):
        self.books = Books()
        self.webhooks = Webhooks(webhook_url, secret)
        self.base_url = ""
        self.trouble: Trouble | None = None
        self._secret = secret
        self._arrival_seconds = arrival_seconds
        self._fates: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                self._api("/transaction/initialize", self._initialize, "POST"),
                self._api("/transaction/verify/{reference}", self._verify_charge),
                self._api("/bank", self._list_banks),
                self._api("/bank/resolve", self._resolve),
                self._api("/transferrecipient", self._make_recipient, "POST"),
                self._api("/transfer", self._transfer, "POST"),
                self._api("/transfer/verify/{reference}", self._verify_transfer),
                Route("/checkout/{access_code}", self._checkout, methods=["GET", "POST"]),
                Route("/local/transfers", self._transfers),
                Route("/local/transfers/{reference}", self._end_by_hand, methods=["POST"]),
            ]
        )

    def pay(
        self, reference: str, status: str = "success", *, copies: int = 1, delay_seconds: float = 0
    ) -> None:
        """Have a charge paid, or declined by the status `failed`."""
        charge = self.books.charges[reference]
        charge.status = status
        self.webhooks.send(
            f"charge.{status}", charge.shown(), copies=copies, delay_seconds=delay_seconds
        )

    def end(self, reference: str, status: str, *, copies: int = 1) -> None:
        """Have a transfer end."""
        transfer = self.books.transfers[reference]
        transfer.status = status
        self.webhooks.send(f"transfer.{status}", transfer.shown(), copies=copies)

    def _api(self, path: str, handler: Handler, method: str = "GET") -> Route:
        async def checked(request: Request) -> Response:
            self.books.calls.append(request.url.path)
            if self.trouble is not None:
                answer = await self.trouble(request.url.path)
                if answer is not None:
                    return answer
            if request.headers.get("authorization") != f"Bearer {self._secret}":
                return _no(401, "Invalid key", "invalid_Key")
            return await handler(request)

        return Route(path, checked, methods=[method])

    async def _initialize(self, request: Request) -> Response:
        asked = await request.json()
        if asked["reference"] in self.books.charges:
            return _no(400, "Duplicate Transaction Reference", "duplicate_reference")
        amount = int(asked["amount"])
        if amount < 1:
            return _no(400, "Invalid Amount Sent", "invalid_amount")
        charge = Charge(asked["reference"], amount, asked["currency"], asked["email"])
        self.books.charges[charge.reference] = charge
        base = self.base_url or str(request.base_url).rstrip("/")
        return _yes(
            "Authorization URL created",
            {
                "authorization_url": f"{base}/checkout/{charge.access_code}",
                "access_code": charge.access_code,
                "reference": charge.reference,
            },
        )

    async def _verify_charge(self, request: Request) -> Response:
        charge = self.books.charges.get(request.path_params["reference"])
        if charge is None:
            return _no(400, "Transaction reference not found.", "transaction_not_found")
        return _yes("Verification successful", charge.shown())

    async def _list_banks(self, request: Request) -> Response:
        banks = BANKS.get(request.query_params.get("currency", "NGN"), {})
        return _yes("Banks retrieved", [{"name": n, "code": c} for c, n in banks.items()])

    async def _resolve(self, request: Request) -> Response:
        number, code = request.query_params["account_number"], request.query_params["bank_code"]
        if number == NOT_AN_ACCOUNT or not any(code in banks for banks in BANKS.values()):
            return _no(422, "Could not resolve account name", "account_not_resolved")
        return _yes(
            "Account number resolved", {"account_number": number, "account_name": "JANE TEST DOE"}
        )

    async def _make_recipient(self, request: Request) -> Response:
        asked = await request.json()
        code = self.books.recipient_of(asked["bank_code"], asked["account_number"])
        return _yes("Transfer recipient created successfully", {"recipient_code": code})

    async def _transfer(self, request: Request) -> Response:
        asked = await request.json()
        reference, number = asked["reference"], self.books.number_of(asked["recipient"])
        if reference in self.books.transfers:
            return _no(400, "Please provide a unique reference.", "duplicate_transfer_reference")
        if number is None:
            return _no(400, "Recipient specified is invalid", "invalid_recipient")
        if number == REFUSED:
            return _no(400, "Your balance is not enough", "insufficient_balance")
        transfer = Transfer(
            reference, asked["amount"], asked["currency"], asked["recipient"], number
        )
        self.books.transfers[reference] = transfer
        if number == NEEDS_OTP:
            transfer.status = "otp"
            return _yes("Transfer requires OTP to continue", transfer.shown())
        fate = asyncio.create_task(self._meet_fate(transfer))
        self._fates.add(fate)
        fate.add_done_callback(self._fates.discard)
        return _yes("Transfer has been queued", transfer.shown())

    async def _meet_fate(self, transfer: Transfer) -> None:
        for status in _FATES.get(transfer.account_number, ("success",)):
            await asyncio.sleep(self._arrival_seconds)
            self.end(transfer.reference, status)

    async def _verify_transfer(self, request: Request) -> Response:
        transfer = self.books.transfers.get(request.path_params["reference"])
        if transfer is None:
            return _no(404, "Transfer not found", "transfer_not_found")
        return _yes("Transfer retrieved", transfer.shown())

    async def _checkout(self, request: Request) -> Response:
        charge = self.books.charge_of(request.path_params["access_code"])
        if charge is None:
            return HTMLResponse(done_page("There is no such payment"), status_code=404)
        if request.method == "GET":
            return HTMLResponse(checkout_page(charge))
        form = await _form(request)
        if charge.status == "success":
            return HTMLResponse(done_page("It was paid before"))
        self.pay(
            charge.reference,
            "success" if form.get("action") == "pay" else "failed",
            copies=int(form.get("copies", "1")),
            delay_seconds=float(form.get("delay", "0")),
        )
        return HTMLResponse(done_page(f"The payment is {standing(charge)}"))

    async def _transfers(self, _request: Request) -> Response:
        return HTMLResponse(transfers_page(self.books.transfers.values()))

    async def _end_by_hand(self, request: Request) -> Response:
        reference, form = request.path_params["reference"], await _form(request)
        if reference not in self.books.transfers or form.get("status") not in _ENDS:
            return HTMLResponse(done_page("There is no such transfer or end"), status_code=404)
        self.end(reference, form["status"])
        return HTMLResponse(done_page(f"The transfer is {form['status']}"))


_ENDS: Final = ("success", "failed", "reversed")


async def _form(request: Request) -> dict[str, str]:
    # Starlette's own forms need a package that nothing else here does.
    return dict(parse_qsl((await request.body()).decode()))


def _yes(message: str, data: Any) -> Response:
    return JSONResponse({"status": True, "message": message, "data": data})


def _no(status: int, message: str, code: str) -> Response:
    return JSONResponse({"status": False, "message": message, "code": code}, status_code=status)
