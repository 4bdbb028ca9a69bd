"""Stand-ins for what is not ours, for development and tests; no part of the product uses them."""
