"""Ids as callers see them: what was made is read back, and nothing else is."""

import calendar
from datetime import UTC, datetime
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.public_ids import Kind, make_public_id, read_public_id

pytestmark = pytest.mark.promise("S2-ids")

kinds = st.sampled_from(Kind)
numbers = st.integers(min_value=0, max_value=2**128 - 1)
row_ids = st.integers(min_value=1, max_value=2**60 - 1)
times = st.datetimes(
    min_value=datetime(1970, 1, 1),  # noqa: DTZ001 - the zone is drawn with it
    timezones=st.just(UTC),
)


def as_version_7(number: int) -> UUID:
    """Return a UUID of version 7 that may or may not be one of ours."""
    number &= ~(0xF << 76 | 0b11 << 62)
    return UUID(int=number | 7 << 76 | 0b10 << 62)


@given(kinds, row_ids, times)
def test_what_was_made_is_read_back(kind: Kind, row_id: int, made: datetime) -> None:
    public_id = make_public_id(kind, row_id, made)

    assert (public_id.version, public_id.variant) == (7, RFC_4122)
    # Not by timestamp(), a float: two thousand years from now it rounds.
    seconds = calendar.timegm(made.utctimetuple())
    assert public_id.int >> 80 == seconds * 1000 + made.microsecond // 1000
    assert read_public_id(kind, public_id) == (row_id, made)
    assert all(read_public_id(other, public_id) is None for other in Kind if other != kind)


@given(kinds, numbers.map(as_version_7) | numbers.map(lambda number: UUID(int=number)))
def test_whatever_can_be_read_would_be_made_like_that(kind: Kind, public_id: UUID) -> None:
    named = read_public_id(kind, public_id)

    assert named is None or make_public_id(kind, *named) == public_id


@given(kinds, row_ids, row_ids, times, times)
def test_they_sort_by_time(
    kind: Kind, first_id: int, second_id: int, first: datetime, second: datetime
) -> None:
    if first != second:
        ids = make_public_id(kind, first_id, first), make_public_id(kind, second_id, second)
        assert (ids[0] < ids[1]) == (first < second)


@pytest.mark.parametrize(
    ("row_id", "made"),
    [
        (0, datetime(2026, 1, 1, tzinfo=UTC)),
        (2**60, datetime(2026, 1, 1, tzinfo=UTC)),
        (1, datetime(1969, 12, 31, tzinfo=UTC)),
    ],
)
def test_what_does_not_fit_is_refused(row_id: int, made: datetime) -> None:
    with pytest.raises(ValueError, match="No public id"):
        make_public_id(Kind.ACCOUNT, row_id, made)
