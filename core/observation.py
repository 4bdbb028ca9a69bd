"""What batches and the poster tell whoever watches them; core does not know who that is.

An observer is called on the way of every posting. It must not raise and must not wait.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol

from core.commands import Attempt, Settled
from db.faults import Fault


class BatchObserver(Protocol):
    """Is told when an item begins to wait and when its batch is run."""

    def submitted(self) -> Any:
        """Tell, in the submitter's context, that an item waits; its mark comes back below."""

    def batch(self, marks: Sequence[Any]) -> AbstractContextManager[object]:
        """Return what a batch of the items with these marks is run within."""


class PostingObserver(BatchObserver, Protocol):
    """Is told what became of attempts as well."""

    def settled(self, attempts: Sequence[Attempt], results: Sequence[Settled]) -> None:
        """Tell, in order, how attempts ended; what is durable is so by now."""

    def failed(self, fault: Fault) -> None:
        """Tell that one try to settle a batch, or a part of one, failed as a whole."""


class Unobserved:
    """Nobody watches."""

    def submitted(self) -> None:
        """Do nothing."""

    def batch(self, marks: Sequence[Any]) -> AbstractContextManager[object]:  # noqa: ARG002
        """Do nothing."""
        return nullcontext()

    def settled(self, attempts: Sequence[Attempt], results: Sequence[Settled]) -> None:
        """Do nothing."""

    def failed(self, fault: Fault) -> None:
        """Do nothing."""


UNOBSERVED = Unobserved()
