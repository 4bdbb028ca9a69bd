"""What the wallet is measured against; each does on purpose what the house does not."""

from typing import Final

# Here and not beside its route: whoever sends to it need not be able to serve it.
NO_OP_PATH: Final = "/nothing"
