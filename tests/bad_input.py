"""The bad-input table: what callers send by mistake or on purpose, and how each must be refused.

Data and small builders only. Whatever is not a number carries MARKER, so that a test can tell
whether an answer repeats what was sent.
"""

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

MARKER = "zqmarkerqz"
BODY_LIMIT_BYTES = 64 * 1024
TOO_BIG_FOR_AN_ID = 2**63
JSON = (b"content-type", b"application/json")
FORM = (b"content-type", b"application/x-www-form-urlencoded")

Header = tuple[bytes, bytes]
Body = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Bad:
    """One bad request: its body, and the status and code that it must be refused with."""

    name: str
    content: bytes
    status: int = 422
    code: str = "invalid_request"
    headers: tuple[Header, ...] = field(default=(JSON,))


@dataclass(frozen=True, slots=True)
class BadValue:
    """One bad value of a field, as JSON text; `currency` is sent with it."""

    text: str
    status: int = 422
    code: str = "invalid_request"
    currency: str = "NGN"


def not_json(text: str) -> BadValue:
    """Return a value that no JSON text may hold, so that the body is not JSON either."""
    return BadValue(text, 400, "invalid_json")


AMOUNTS: tuple[BadValue, ...] = (
    *map(BadValue, ("-1", "-0.01", '"-1"', "-0", "-0.0", '"-0"', "-1e-400")),
    *map(not_json, ("NaN", "Infinity", "-Infinity", "+5", "00012", "1_000", ".5", "5.", "0x10")),
    *map(BadValue, ('"NaN"', '"Infinity"', '"inf"', "1e400", "1E+400", "1e999999999", "1e-400")),
    *map(BadValue, ('"1e3"', '"1E+400"', '"1e999999999"', "1e3", "123456789e-6")),
    BadValue("0.001", currency="USD"),
    BadValue('"0.001"', currency="USD"),
    BadValue("1.5", currency="JPY"),
    BadValue("0.0001", currency="KWD"),
    *map(BadValue, ("1.0000000000000001", '"1.0000000000000001"', "0.1000000000000000055511151")),
    *map(BadValue, (str(10**30), f'"{10**30}"', "1e30", "9" * 5000, f'"{"9" * 5000}"')),
    *map(BadValue, ("10000000000000", "9999999999999.995", "0." + "0" * 5000 + "1")),
    *map(BadValue, ('" 1 "', '"1 "', '"1_000"', '"1,000"', '"+5"', '"00012"', '"01"', '"1\\n"')),
    *map(BadValue, ('"1."', '".5"', '"."', '""', '"0x10"', '"1.5.5"', '"--1"', '"½"', '"१"')),
    *map(BadValue, ('"١٢"', '"１２"', '"1٫5"', '"1\\u200b"', '"\\u00a01"', '"²"')),
    *map(BadValue, ("true", "false", "null", "[]", "{}", "[1]", '{"minor":1}', '["1"]')),
    *map(
        BadValue, (f'"{MARKER}"', f'"1; DROP TABLE wallets; -- {MARKER}"', f"\"1' OR '{MARKER}\"")
    ),
    *map(not_json, ('"1\\u0000"', '"\\ud800"', '"1\\udfff"', '"1\n"', '"1\0"', f"{MARKER}", "1 2")),
)
# An amount must be above zero, a balance need not be.
ZEROS: tuple[BadValue, ...] = (*map(BadValue, ("0", "0.0", "0.00", '"0"', '"0.00"')),)

CURRENCIES: tuple[BadValue, ...] = (
    *map(BadValue, ('"ngn"', '"Ngn"', '"NG"', '"NGNN"', '"NG N"', '" NGN"', '"NGN "', '"NGN\\n"')),
    *map(BadValue, ('""', '"ZZZ"', '"XAU"', '"XXX"', '"GOLD"', '"ＮＧＮ"', '"₦"', '"566"')),
    *map(BadValue, ("566", "true", "null", "[]", "{}", '["NGN"]', f'"{MARKER}"')),
    *map(BadValue, (f'"NGN\'; DROP TABLE wallets; -- {MARKER}"', '"NGN\\u200b"')),
    *map(not_json, ('"NG\\u0000"', '"\\ud800"', "NGN")),
)

WALLET_IDS: tuple[BadValue, ...] = (
    *map(BadValue, (str(TOO_BIG_FOR_AN_ID), str(10**30), "9" * 5000, "0", "-1", "-0")),
    *map(BadValue, ('"1"', "1.0", "1.5", "1e0", "true", "null", "[]", "{}", "[1]")),
    *map(BadValue, (f'"{MARKER}"', f'"1 OR 1=1 -- {MARKER}"')),
    *map(not_json, ("01", "+1", "NaN", "0x1")),
)

# 482915736045 is one that could be.
ACCOUNT_NUMBERS: tuple[BadValue, ...] = (
    *map(BadValue, ('"482915736044"', '"842915736045"', '"48291573604"', '"4829157360455"')),
    *map(BadValue, ('"082915736045"', '"000000000000"', '" 482915736045"', '"482915736045 "')),
    *map(BadValue, ('"４８２９１５７３６０４５"', '"48291573604٥"', '"4829-1573-6045"', '""')),
    *map(BadValue, ("482915736045", "null", "true", "[]", "{}", '["482915736045"]', "1.5")),
    *map(BadValue, (f'"{MARKER}"', f"\"482915736045' OR '{MARKER}\"", f'"{MARKER}{"9" * 5000}"')),
    *map(not_json, ('"48291573604\\u0000"', "0482915736045", '"\\ud800"')),
)
DESCRIPTIONS: tuple[BadValue, ...] = (
    *map(BadValue, ('""', '"  "', "1", "true", "[]", "{}", f'"{MARKER}\\u0007"')),
    *map(BadValue, (f'"{MARKER}{"x" * 255}"', f'"{MARKER}\\u202e"', f'"{MARKER}\\r\\nBcc: x"')),
    *map(not_json, (f'"{MARKER}\\u0000"', f'"{MARKER}\\ud800"')),
)

PERMISSIONS: tuple[BadValue, ...] = (
    *map(BadValue, ("[]", '["credits"]', '["read","credits"]', '["read","read"]', '["admin"]')),
    *map(BadValue, ('["READ"]', '[" read"]', '["read "]', '["read,transfer"]', '["*"]', '[""]')),
    *map(BadValue, ('"read"', '"read transfer"', "null", "true", "{}", '{"read":true}', "[null]")),
    *map(BadValue, ("[1]", '[["read"]]', f'["{MARKER}"]', '["read","transfer","deposit","read"]')),
    *map(not_json, ('["read\\u0000"]', "[read]")),
)
EXPIRIES: tuple[BadValue, ...] = (
    *map(BadValue, ('"99Y"', '"-1D"', '"1d"', '" 1D"', '"1D "', '"1D\\n"', '"D"', '"1"', '""')),
    *map(
        BadValue, ('"0D"', '"2H"', '"1W"', '"1S"', '"01D"', '"１D"', '"never"', '"1H1D"', '"P1D"')
    ),
    *map(BadValue, ("1", "3600", "true", "null", "[]", "{}", '["1D"]', f'"{MARKER}"')),
    *map(not_json, ('"1D\\u0000"', "1D")),
)

NAMES: tuple[BadValue, ...] = (
    *map(BadValue, ('""', '"   "', "null", "1", "true", "[]", "{}", f'"{MARKER}\\u0007"')),
    *map(BadValue, (f'"{MARKER}\\r\\nBcc: x"', f'"{MARKER}{"x" * 100}"', f'"{MARKER}\\u202e"')),
    *map(not_json, (f'"{MARKER}\\u0000"', f'"{MARKER}\\ud800"')),
)
EMAILS: tuple[BadValue, ...] = (
    *map(BadValue, ('""', "null", "1", f'"{MARKER}"', f'"{MARKER}@"', f'"{MARKER}@localhost"')),
    *map(BadValue, (f'"{MARKER}@example.com\\r\\nBcc: a@example.com"', f'" {MARKER}@example"')),
    *map(BadValue, (f'"Jane <{MARKER}@example.com>"', f'"{MARKER}@example.com,a@example.com"')),
    *map(BadValue, (f'"{MARKER}{"x" * 250}@example.com"', f'"{MARKER}@[127.0.0.1]"')),
    *map(not_json, (f'"{MARKER}\\u0000@example.com"', f'"{MARKER}\\ud800@example.com"')),
)
PASSWORDS: tuple[BadValue, ...] = (
    *map(
        BadValue, ('"zqmark"', f'"{MARKER}{"x" * 120}"', "null", "12345678", "true", '"password"')
    ),
    *map(not_json, (f'"{MARKER}\\u0000"', f'"{MARKER}\\ud800"')),
)


def with_value(body: Body, name: str, value: BadValue) -> Bad:
    """Return `body` with one field set to a bad value, spliced in as text."""
    fields = {key: json.dumps(item) for key, item in body.items()}
    if "currency" in fields:
        fields["currency"] = json.dumps(value.currency)
    fields[name] = value.text
    text = ",".join(f'"{key}":{item}' for key, item in fields.items())
    case = f"{name} {value.text[:40]} {value.currency}"
    return Bad(case, f"{{{text}}}".encode(), value.status, value.code)


def without_each_field(body: Body, optional: Iterable[str] = ()) -> list[Bad]:
    """Return `body` without one of its fields, for each that it needs."""
    return [
        Bad(f"without {name}", _json({key: body[key] for key in body if key != name}))
        for name in body
        if name not in optional
    ]


def bad_bodies(body: Body) -> list[Bad]:
    """Return what may be wrong with a JSON body as a whole, made from an acceptable one."""
    return [*_bad_syntax(body), *_bad_encodings(body), *_bad_media_types(body), *_bad_shapes(body)]


def _bad_syntax(body: Body) -> list[Bad]:
    good = _json(body).decode()
    first = next(iter(body))
    pair = f"{json.dumps(first)}:{json.dumps(body[first])}"
    texts = {
        "empty": "",
        "blank": " \n",
        "cut off": good[:-1],
        "trailing junk": f"{good} {MARKER}",
        "two documents": good + good,
        "trailing comma": f"{good[:-1]},}}",
        "comment": f"{good[:-1]}/* {MARKER} */}}",
        "single quotes": good.replace('"', "'"),
        "JSON with a prefix": f")]}}',\n{good}",
        "duplicate key": f"{{{pair},{good[1:]}",
        "duplicate unknown key": f'{{"{MARKER}":1,"{MARKER}":2,{good[1:]}',
        "duplicate key by escape": f'{{"\\u{ord(first[0]):04x}{first[1:]}":0,{good[1:]}',
        "NaN": f'{{"{MARKER}":NaN,{good[1:]}',
        "30,000 deep lists": "[" * 30_000 + "]" * 30_000,
        "60,000 lists never closed": "[" * 60_000,
        "10,000 deep objects": '{"a":' * 10_000 + "1" + "}" * 10_000,
        "10,000 deep value": f'{{"{first}":{"[" * 10_000}{"]" * 10_000}}}',
        "form": f"{first}={MARKER}",
    }
    return [Bad(name, text.encode(), 400, "invalid_json") for name, text in texts.items()]


def _bad_encodings(body: Body) -> list[Bad]:
    good = _json(body)
    wrong = {
        "UTF-16": good.decode().encode("utf-16"),
        "UTF-16 without BOM": good.decode().encode("utf-16-le"),
        "UTF-32": good.decode().encode("utf-32"),
        "BOM": b"\xef\xbb\xbf" + good,
        "NUL after": good + b"\0",
    }
    inside = {
        "invalid UTF-8": b"\xff",
        "Latin-1": b"\xe9",
        "overlong": b"\xc0\xaf",
        "encoded surrogate": b"\xed\xa0\x80",
        "beyond Unicode": b"\xf4\x90\x80\x80",
        "NUL": b"\0",
        "control character": b"\x1f",
        "escaped NUL": b"\\u0000",
        "lone surrogate": b"\\ud83d",
        "surrogates in the wrong order": b"\\ude00\\ud83d",
    }
    for name, piece in inside.items():
        marker = MARKER.encode()
        wrong[f"{name} in a value"] = b'{"%s":"%s%s",%s' % (marker, marker, piece, good[1:])
        wrong[f"{name} in a name"] = b'{"%s%s":1,%s' % (marker, piece, good[1:])
    return [Bad(name, content, 400, "invalid_json") for name, content in wrong.items()]


def _bad_media_types(body: Body) -> list[Bad]:
    good = _json(body)

    def unsupported(name: str, *headers: Header, content: bytes = good) -> Bad:
        return Bad(name, content, 415, "unsupported_media_type", headers)

    wrong = [
        b"text/plain",
        b"text/json",
        b"application/problem+json",
        b"multipart/form-data",
        b"*/*",
    ]
    wrong += [b"application/json; charset=utf-16", b"application/json; charset=latin-1"]
    wrong += [b"application/json, text/plain", b"application/jsonx", b"", b";", b"\xff\xfe"]
    return [
        *(unsupported(f"content type {value!r}", (b"content-type", value)) for value in wrong),
        unsupported("no content type"),
        unsupported("form", FORM),
        unsupported("two content types", JSON, (b"content-type", b"text/plain")),
        unsupported("the same content type twice", JSON, JSON),
        unsupported("gzip header on plain JSON", JSON, (b"content-encoding", b"gzip")),
        unsupported("gzip", JSON, (b"content-encoding", b"gzip"), content=gzip.compress(good)),
        unsupported("two encodings", JSON, (b"content-encoding", b"identity, gzip")),
        unsupported("br", JSON, (b"content-encoding", b"br")),
    ]


def _bad_shapes(body: Body) -> list[Bad]:
    too_large = (413, "content_too_large")
    return [
        Bad("unknown field", _json({**body, MARKER: MARKER})),
        Bad("unknown prototype field", _json({**body, "__proto__": {MARKER: 1}})),
        Bad("2,000 unknown fields", _json(dict.fromkeys(map(str, range(2000)), 1))),
        Bad("field in capitals", _json({key.upper(): value for key, value in body.items()})),
        Bad("field with a space", _json({f"{key} ": value for key, value in body.items()})),
        *(Bad(f"only {text}", text.encode()) for text in ("null", "true", "1", "1.5", "[]", '""')),
        Bad("in a list", _json([body])),
        Bad("as a string", _json(_json(body).decode())),
        Bad("empty object", b"{}"),
        Bad("100,000 deep lists", b"[" * 100_000, *too_large),
        Bad("one byte too many", _json(body).ljust(BODY_LIMIT_BYTES + 1), *too_large),
        Bad("10 MB", _json(body).ljust(10_000_000), *too_large),
        Bad("10 MB of no JSON", b"\xff" * 10_000_000, *too_large, headers=()),
    ]


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
