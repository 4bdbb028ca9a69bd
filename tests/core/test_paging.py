"""How lists are named and cut: few statements for many lists, and cursors that were handed out."""

import pytest

from core.errors import InvalidCursor
from core.paging import (
    ACCOUNTS,
    TRANSACTIONS,
    Slice,
    cut,
    encode_cursor,
    owned_by,
    parameters_of,
)


@pytest.mark.parametrize("count", range(1, 301))
def test_every_owner_has_a_place_and_there_are_few_statements(count: int) -> None:
    ids = list(range(1, count + 1))

    owned = owned_by("sqlite", ids)

    assert set(owned.values()) - {0} == set(ids)
    assert count <= len(owned) < 2 * count or len(owned) == 250
    assert len(owned) in {1, 2, 4, 8, 16, 32, 64, 128, 250, count}
    assert owned_by("postgresql", ids) == {"owners": ids}


def test_a_page_has_one_row_more_to_tell_whether_there_is_a_next() -> None:
    part = Slice(limit=2, offset=3)

    assert parameters_of(part, TRANSACTIONS) == {
        "before": 2**63 - 1,
        "skipped": 3,
        "rows": 3,
        "needed": 6,
    }
    assert cut([(9,), (8,), (7,)], part, TRANSACTIONS) == ([(9,), (8,)], encode_cursor(8))
    assert cut([(9,), (8,)], part, TRANSACTIONS) == ([(9,), (8,)], None)
    assert cut([], part, TRANSACTIONS) == ([], None)


def test_a_cursor_is_of_its_own_list() -> None:
    part = Slice(limit=1, offset=0, cursor=encode_cursor(7, ACCOUNTS))

    assert parameters_of(part, ACCOUNTS)["before"] == 7
    with pytest.raises(InvalidCursor):
        parameters_of(part, TRANSACTIONS)
