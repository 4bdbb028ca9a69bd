"""All planted bugs, in the order in which they are tried. The list grows with the code."""

from typing import Final

from tests.planted import accounts, connections, entrance, google, keys, payments, posting, receipts
from tests.planted.bug import Bug

BUGS: Final[tuple[Bug, ...]] = (
    *posting.BUGS,
    *connections.BUGS,
    *accounts.BUGS,
    *keys.BUGS,
    *receipts.BUGS,
    *entrance.BUGS,
    *google.BUGS,
    *payments.BUGS,
)
