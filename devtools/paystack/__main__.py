"""`python -m devtools.paystack --port 8100 --webhook-url http://127.0.0.1:8000/…`: runs it.

The secret is that of the environment's PAYSTACK_SECRET_KEY.
"""

import argparse
import os
import sys

import uvicorn

from devtools.paystack.app import LocalPaystack


def main() -> int:
    """Serve until asked to end."""
    parser = argparse.ArgumentParser(prog="devtools.paystack", description=__doc__)
    parser.add_argument("--port", type=int, default=8100)
    parser.add_argument("--fd", type=int, help="an open listening socket, instead of a port")
    parser.add_argument("--webhook-url", required=True)
    given = parser.parse_args()
    secret = os.environ.get("PAYSTACK_SECRET_KEY", "")
    if not secret:
        sys.stderr.write("Set PAYSTACK_SECRET_KEY to what the wallet has.\n")
        return 1
    paystack = LocalPaystack(secret=secret, webhook_url=given.webhook_url)
    uvicorn.run(paystack.app, host="127.0.0.1", port=given.port, fd=given.fd, log_level="warning")
    return 0


if __name__ == "__main__":
    sys.exit(main())
