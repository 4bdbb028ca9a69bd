"""The list of planted bugs fits the code, so that it cannot rot between the runs that use it."""

import ast
from collections import Counter

import pytest

from tests.planted.bug import Bug
from tests.planted.bugs import BUGS
from tests.planted.run import ROOT


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_has_its_place_and_its_tests(bug: Bug) -> None:
    assert ast.dump(ast.parse(bug.mutated(ROOT))) != ast.dump(
        ast.parse((ROOT / bug.file).read_text(encoding="utf-8"))
    )
    assert bug.breaks.endswith(".")
    assert bug.tests
    for test in bug.tests:
        path, _, name = test.partition("::")
        text = (ROOT / path).read_text(encoding="utf-8")
        assert f"def {name.partition('[')[0]}(" in text, test


def test_every_bug_has_a_name_of_its_own() -> None:
    assert [name for name, count in Counter(bug.name for bug in BUGS).items() if count > 1] == []
