"""Which idempotency keys a process has met, in little memory and at no cost worth naming."""

from collections.abc import Hashable
from typing import Final

# A quarter to half a million keys are remembered, in 2 MiB. Of those that were never met, one in
# twenty is taken for met.
_BITS: Final = 2**23
_YOUNG_LIMIT: Final = 2**18


class MetKeys:
    """A Bloom filter with one bit for a key, and an older one beside it that is forgotten in time.

    It may take a key for met that was not, and in time forgets what it met: so it may save a
    question, and never be the answer.
    """

    def __init__(self) -> None:
        self._young, self._old = _empty(), _empty()
        self._met = 0

    def meet(self, key: Hashable) -> bool:
        """Note `key`; return whether it was met before, as far as this remembers."""
        # A process draws its own hash of texts, so nobody can choose keys that share a bit.
        byte, bit = divmod(hash(key) % _BITS, 8)
        mask = 1 << bit
        was_met = bool((self._young[byte] | self._old[byte]) & mask)
        if not self._young[byte] & mask:
            self._young[byte] |= mask
            self._met += 1
        if self._met >= _YOUNG_LIMIT:
            self._young, self._old, self._met = _empty(), self._young, 0
        return was_met


def _empty() -> bytearray:
    return bytearray(_BITS // 8)
