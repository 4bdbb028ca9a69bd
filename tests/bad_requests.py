"""The bad-input table beside JSON bodies: forms, idempotency keys, ids in paths, query strings."""

from tests.bad_input import BODY_LIMIT_BYTES, FORM, JSON, MARKER, TOO_BIG_FOR_AN_ID, Bad, Header

_BAD_FORM_SYNTAX = {
    "junk": b"zqmarkerqz",
    "junk after": b"username=zqmarkerqz&password=x&junk",
    "field twice": b"username=zqmarkerqz&username=b&password=x",
    "invalid UTF-8": b"username=zqmarkerqz%ff&password=x",
    "raw UTF-8": "username=zqmarkerqzé&password=x".encode(),
    "surrogate": b"username=zqmarkerqz%ED%A0%80&password=x",
    "NUL": b"username=zqmarkerqz%00&password=x",
    "NUL in a name": b"username=a&password=x&zqmarkerqz%00=1",
    "30 fields": b"&".join(b"f%d=zqmarkerqz" % number for number in range(30)),
}
_BAD_FORM_FIELDS = {
    "no username": b"password=zqmarkerqz",
    "no password": b"username=zqmarkerqz",
    "blank username": b"username=&password=zqmarkerqz",
    "unknown field": b"username=a&password=x&zqmarkerqz=1",
    "other grant": b"grant_type=zqmarkerqz&username=a&password=x",
    "long username": b"password=x&username=zqmarkerqz".ljust(300, b"a"),
    "long password": b"username=a&password=zqmarkerqz".ljust(200, b"a"),
}
_BAD_FORM_MEDIA_TYPES: dict[str, tuple[Header, ...]] = {
    "JSON": (JSON,),
    "no type": (),
    "other charset": ((FORM[0], FORM[1] + b"; charset=utf-16"),),
    "gzip": (FORM, (b"content-encoding", b"gzip")),
    "multipart": ((FORM[0], b"multipart/form-data; boundary=b"),),
    "two types": (FORM, FORM),
}
_GOOD_FORM = b"username=zqmarkerqz&password=x"
FORMS: tuple[Bad, ...] = (
    *(Bad(*item, 400, "invalid_form", (FORM,)) for item in _BAD_FORM_SYNTAX.items()),
    *(Bad(*item, 422, "invalid_request", (FORM,)) for item in _BAD_FORM_FIELDS.items()),
    *(
        Bad(name, _GOOD_FORM, 415, "unsupported_media_type", headers)
        for name, headers in _BAD_FORM_MEDIA_TYPES.items()
    ),
    Bad("too large", _GOOD_FORM.ljust(BODY_LIMIT_BYTES + 1), 413, "content_too_large", (FORM,)),
)

KEYS: dict[str, tuple[Header, ...]] = {
    "two keys": ((b"x-idempotency-key", b"zqmarkerqz-1"), (b"x-idempotency-key", b"zqmarkerqz-2")),
    "the same key twice": ((b"x-idempotency-key", b"zqmarkerqz"),) * 2,
    "both names": ((b"x-idempotency-key", b"zqmarkerqz"), (b"idempotency-key", b"zqmarkerqz")),
    "two keys in one header": ((b"x-idempotency-key", b"zqmarkerqz, other"),),
    "non-ASCII": ((b"x-idempotency-key", "zqmarkerqzé".encode()),),
    "Latin-1": ((b"x-idempotency-key", b"zqmarkerqz\xe9"),),
    "70 kB": ((b"x-idempotency-key", b"zqmarkerqz".ljust(70_000, b"k")),),
    "256 characters": ((b"x-idempotency-key", b"zqmarkerqz".ljust(256, b"k")),),
    "empty": ((b"x-idempotency-key", b""),),
    "spaces": ((b"x-idempotency-key", b"   "),),
    "inner space": ((b"idempotency-key", b"zqmarkerqz key"),),
    "tab": ((b"x-idempotency-key", b"zqmarkerqz\tkey"),),
    "NUL": ((b"x-idempotency-key", b"zqmarkerqz\0"),),
    "DEL": ((b"x-idempotency-key", b"zqmarkerqz\x7f"),),
}

# Percent-encoded, as they stand in a path.
PATH_IDS: tuple[str, ...] = (
    *("0", "-1", "-0", "00", "01", "1.0", "1e3", "1_000", "0x1", "%2B1", "%201", "1%20", "1%0A"),
    *(
        str(TOO_BIG_FOR_AN_ID),
        str(10**30),
        "9" * 5000,
        "null",
        "true",
        "NaN",
        "%D9%A1",
        "%EF%BC%91",
    ),
    *("1%00", "%00", MARKER, f"1;DROP%20TABLE%20{MARKER}", f"1'%20OR%20{MARKER}", "%C2%B2", "%FF"),
)

QUERIES: tuple[str, ...] = (
    *("limit=0", "limit=101", "limit=-1", "limit=x", "limit=", "limit", "limit=1.0", "limit=1e1"),
    *("limit=1_0", "limit=%2B5", "limit=05", "limit=%20%205", "limit=true", "limit=%D9%A5"),
    *(f"limit={'9' * 5000}", f"limit={TOO_BIG_FOR_AN_ID}", "limit=5&limit=5", "limit=5&limit=6"),
    *("offset=-1", "offset=x", "offset=1.5", "offset=", "offset=1000001", "offset=1&offset=2"),
    *(f"offset={TOO_BIG_FOR_AN_ID}", "cursor=a&cursor=b", f"{MARKER}=1", f"limit=5&{MARKER}"),
    *("LIMIT=5", "limit[]=5", "since=2026-01-01T00:00:00Z", "until=2026-01-01T00:00:00Z"),
    *(f"type={MARKER}", "type=", "type=DEPOSIT", "type=transfer%20", f"from={MARKER}", "from="),
    *("from=2026-01-01", "from=now", "from=1700000000", "from=0.5", "to=1e9", "to=P1D"),
    *("from=2026-01-01T00:00:00", "to=2026-13-01T00:00:00Z", "to=2026-02-30T00:00:00Z"),
    *("to=2026-01-01T00:00:00+01:00", "to=2026-01-01 00:00:00Z", "to=2026-01-01T24:00:00Z"),
    *("from=0001-01-01T00:00:00%2B14:00", "from=0000-01-01T00:00:00Z"),
    *("to=9999-12-31T23:59:59-14:00", "to=10000-01-01T00:00:00Z", "to=2026-01-01T00:00:00%00Z"),
    *(f"cursor={MARKER}%00", f"cursor={MARKER}%ff", "cursor=%ED%A0%80", f"cursor={MARKER * 11}"),
    "&".join(f"a{number}=1" for number in range(30)),
)
CURSORS: tuple[str, ...] = (
    *(MARKER, "", "1", "dAAAAAAAAAAA", "dP__________", "dAAAAAAAAAAB%3D", "eAAAAAAAAAAB"),
    *("%C3%A9", f"';DROP%20TABLE%20{MARKER}", "dAAAAAAAAAAB%0A", "dAAAAAAAAAABdAAAAAAAAAAB"),
)
