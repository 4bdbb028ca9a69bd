"""What a planted bug is: a small, believable mistake, and the tests that must notice it."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """One mistake in one place.

    `old` stands exactly once in `file` and becomes `new`, which still is Python. `breaks` says in
    one sentence what then goes wrong. `tests` are the pytest node ids that should catch it, the
    narrowest there are: at least one of them has to fail, and all pass without the bug.
    """

    name: str
    file: str
    old: str
    new: str
    breaks: str
    tests: tuple[str, ...]

    def mutated(self, root: Path) -> str:
        """Return the text of the file in `root` with the bug in it.

        Raises BugMisplaced unless the old text stands there exactly once.
        """
        text = (root / self.file).read_text(encoding="utf-8")
        found = text.count(self.old)
        if found != 1:
            raise BugMisplaced(f"{self.name}: its old text stands {found} times in {self.file}")
        return text.replace(self.old, self.new)


class BugMisplaced(Exception):
    """The code has changed: the bug's old text is not there, or not only there."""
