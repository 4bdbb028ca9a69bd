"""What was met is known for long, what was not is seldom taken for met, and memory has an end."""

from middleware.met_keys import MetKeys

LONG = 2**18


def keys(first: int, count: int) -> list[tuple[int, str]]:
    return [(number % 1000, f"key-{number}") for number in range(first, first + count)]


def test_what_was_met_is_known() -> None:
    met = MetKeys()
    assert not met.meet((1, "key"))
    assert met.meet((1, "key"))
    # Of another person it is another key.
    assert not met.meet((2, "key"))


def test_hardly_a_new_key_is_taken_for_met() -> None:
    met = MetKeys()
    taken = sum(met.meet(key) for key in keys(0, 3 * LONG))
    assert taken < 3 * LONG / 10


def test_it_remembers_long_and_forgets_in_time() -> None:
    met = MetKeys()
    for key in keys(0, LONG):
        met.meet(key)
    # With as many again it is the older half of what is remembered.
    later = keys(LONG, LONG - 1)
    for key in later:
        met.meet(key)
    assert all(met.meet(key) for key in later)
    for key in keys(3 * LONG, 2 * LONG):
        met.meet(key)
    assert sum(met.meet(key) for key in later) < LONG / 5
