"""The pages of the local Paystack: where a person pays, and where transfers are given their end."""

from collections.abc import Iterable
from html import escape
from typing import Final

from devtools.paystack.books import Charge, Transfer

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto }}
button {{ font: inherit; padding: .5rem 1rem; margin: .25rem .25rem .25rem 0 }}
small {{ color: #666 }}
</style>
<h1>{title}</h1>
{content}
<p><small>This is a local stand-in for Paystack. No money moves.</small></p>
</html>
"""

# What people would call Paystack's words for a charge.
_STANDINGS: Final = {"abandoned": "not paid yet", "success": "paid", "failed": "declined"}


def standing(charge: Charge) -> str:
    """Say how a charge stands."""
    return _STANDINGS.get(charge.status, charge.status)


def checkout_page(charge: Charge) -> str:
    """Return the page on which a charge is paid or declined."""
    amount = f"{charge.currency} {charge.amount / 100:,.2f}"
    again = ""
    if charge.status == "failed":
        again = " What you do now, no provider should do: it shows whether the wallet minds."
    content = f"""<p>{escape(charge.email)} pays <strong>{amount}</strong>.</p>
<p>Reference {escape(charge.reference)}, {standing(charge)}.{again}</p>
<form method="post">
<p><label>Webhooks sent <select name="copies"><option>1<option>2<option>5<option>0</select></label>
<label>after <select name="delay"><option>0<option>5<option>30</select> seconds</label></p>
<button name="action" value="pay">Pay</button>
<button name="action" value="decline">Decline</button>
</form>"""
    return _PAGE.format(title="Checkout", content=content)


def transfers_page(transfers: Iterable[Transfer]) -> str:
    """Return the page on which transfers are given their end."""
    rows = "".join(
        f"""<form method="post" action="/local/transfers/{escape(item.reference)}">
<p>{escape(item.reference)}: {item.currency} {item.amount / 100:,.2f}, {escape(item.status)}<br>
<button name="status" value="success">Success</button>
<button name="status" value="failed">Failed</button>
<button name="status" value="reversed">Reversed</button></p>
</form>"""
        for item in transfers
    )
    return _PAGE.format(title="Transfers", content=rows or "<p>There are none.</p>")


def done_page(what: str) -> str:
    """Return the page that tells what was done."""
    return _PAGE.format(title="Done", content=f"<p>{escape(what)}. You may close this page.</p>")
