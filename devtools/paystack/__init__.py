"""A local Paystack: answers as the real one does, as far as the wallet asks. Keeps nothing."""
