"""Bugs at the entrance: who is let in, and what may be sent."""

from typing import Final

from tests.planted.bug import Bug

_PEOPLE = "tests/routers/test_people.py"
_SECURITY = "tests/core/test_security.py"
_KEYS = "tests/core/test_api_keys.py"
_WAYS_IN = "tests/routers/test_ways_in.py"
_ACCESS = "tests/routers/test_access.py"
_CREDITS = "tests/routers/test_credits.py"
_BODIES = "tests/routers/test_bad_input.py::test_bodies"
_DIRECT = "tests/routers/test_wallets.py::test_production_makes_no_money_unless_told_to"

BUGS: Final = (
    Bug(
        name="signing_out_is_not_effective",
        file="dependencies/caller.py",
        old="    if not await services.sign_in_check.lasts(claims.sign_in_id):\n"
        "        raise Unauthenticated\n",
        new="",
        breaks="A stolen access token works until it expires, whatever its owner does.",
        tests=(f"{_PEOPLE}::test_signing_out_ends_every_token_of_that_sign_in_only",),
    ),
    Bug(
        name="refresh_token_is_reusable",
        file="core/sign_ins.py",
        old="                col(RefreshToken.used_at).is_(None),\n",
        new="",
        breaks="A stolen refresh token works for as long as its owner's does.",
        tests=(f"{_PEOPLE}::test_a_refresh_token_is_used_once",),
    ),
    Bug(
        name="reuse_does_not_end_the_family",
        file="core/sign_ins.py",
        old="            await _end_family_of_used(session, token, now)\n",
        new="",
        breaks="A thief who refreshed first keeps the sign-in.",
        tests=(f"{_PEOPLE}::test_a_refresh_token_is_used_once",),
    ),
    Bug(
        name="audience_not_checked",
        file="core/security.py",
        old="audience=self._audience,",
        new='audience=jwt.get_unverified_claims(token).get("aud"),',
        breaks="A token that was made for another service is accepted.",
        tests=(f"{_SECURITY}::test_a_token_that_is_not_ours_is_refused",),
    ),
    Bug(
        name="verified_tokens_never_expire",
        file="core/security.py",
        old="if claims.expires_at <= time.time():",
        new="if claims.expires_at <= 0:",
        breaks="A token that was verified once is accepted as long as the process lives.",
        tests=(f"{_SECURITY}::test_a_token_verified_before_still_expires",),
    ),
    Bug(
        name="announced_length_not_limited",
        file="middleware/body_limit.py",
        old="if announced is not None and announced > BODY_LIMIT_BYTES:",
        new="if announced is not None and announced > BODY_LIMIT_BYTES * 1024:",
        breaks="Everybody may fill the memory with a body that says how large it is.",
        tests=(_BODIES,),
    ),
    Bug(
        name="unannounced_length_not_limited",
        file="middleware/body_limit.py",
        old="if received > BODY_LIMIT_BYTES:",
        new="if received > BODY_LIMIT_BYTES * 1024:",
        breaks="Everybody may fill the memory with a body that does not.",
        tests=("tests/routers/test_bad_input.py::test_a_body_of_unannounced_length",),
    ),
    Bug(
        name="json_keys_may_stand_twice",
        file="dependencies/reading.py",
        old="object_pairs_hook=_unique,",
        new="object_pairs_hook=dict,",
        breaks="Two amounts in one request: whoever checks the first lets the second through.",
        tests=(_BODIES,),
    ),
    Bug(
        name="amounts_are_floats",
        file="dependencies/reading.py",
        old="parse_float=JsonNumber,",
        new="parse_float=lambda text: JsonNumber(repr(float(text))),",
        breaks="An amount is rounded to the nearest float before anybody looks at it.",
        tests=("tests/routers/test_bad_input.py::test_amounts_and_currencies",),
    ),
    Bug(
        name="unknown_fields_are_ignored",
        file="schemas/strict.py",
        old='extra="forbid"',
        new='extra="ignore"',
        breaks="A misspelt field is taken for an absent one.",
        tests=(_BODIES,),
    ),
    Bug(
        name="zero_moves",
        file="schemas/strict.py",
        old='info.data.get("currency"), zero_allowed=False)',
        new='info.data.get("currency"), zero_allowed=True)',
        breaks="A movement of nothing reaches the ledger, which has no row for it.",
        tests=("tests/routers/test_bad_input.py::test_amounts_and_currencies",),
    ),
    Bug(
        name="deposits_in_production",
        file="routers/transactions.py",
        old="dependencies=[Depends(require_direct_funding), Depends(limit_transactions)],",
        new="dependencies=[Depends(limit_transactions)],",
        breaks="In production everybody may make money.",
        tests=(_DIRECT,),
    ),
    Bug(
        name="opening_balances_in_production",
        file="routers/wallets.py",
        old="if body.opening.minor > 0 and not services.settings.direct_funding_allowed:",
        new="if body.opening.minor < 0 and not services.settings.direct_funding_allowed:",
        breaks="The same, by opening a wallet.",
        tests=(_DIRECT,),
    ),
    Bug(
        name="any_secret_opens",
        file="core/key_check.py",
        old="if not hmac.compare_digest(known, hash_secret(match[3])) or row is None:",
        new="if row is None:",
        breaks="Whoever knows a key's id, which is no secret, comes in with it.",
        tests=(f"{_KEYS}::test_whatever_differs_from_the_key_is_not_one",),
    ),
    Bug(
        name="revoked_keys_open",
        file="core/key_check.py",
        old="        if row.revoked_at is not None:\n            raise ApiKeyRevoked\n",
        new="",
        breaks="A key that leaked cannot be taken back.",
        tests=(f"{_KEYS}::test_revoking_is_effective_at_once_and_for_good",),
    ),
    Bug(
        name="expired_keys_open",
        file="core/key_check.py",
        old="        if is_over(row):\n            raise ApiKeyExpired\n",
        new="",
        breaks="A key lasts for ever.",
        tests=(f"{_KEYS}::test_a_key_ends_when_its_time_is_over",),
    ),
    Bug(
        name="keys_of_tests_open_production",
        file="core/key_check.py",
        old="if match is None or match[1] != self._prefix:",
        new="if match is None:",
        breaks="A key that was made to try things out opens production.",
        tests=(f"{_KEYS}::test_whatever_differs_from_the_key_is_not_one",),
    ),
    Bug(
        name="keys_open_what_is_for_people",
        file="dependencies/caller.py",
        old="return self.permission in caller.holder.permissions",
        new="return True",
        breaks="A service's key moves people's money.",
        tests=(f"{_WAYS_IN}::test_a_key_opens_what_its_permission_says_and_nothing_else",),
    ),
    Bug(
        name="a_token_beside_a_key_is_ignored",
        file="dependencies/caller.py",
        old="        if tokens and keys:\n            raise TwoCredentials\n",
        new="",
        breaks="A request acts for another than its sender believes.",
        tests=(f"{_WAYS_IN}::test_both_at_once",),
    ),
    Bug(
        name="tokens_open_what_is_for_services",
        file="dependencies/caller.py",
        old="            return self.person\n",
        new="            return True\n",
        breaks="Everybody who signs up can give themselves credits.",
        tests=(f"{_ACCESS}::test_people",),
    ),
    Bug(
        name="everybodys_credits_are_shown",
        file="core/credits.py",
        old="accounts = select(wallets.id).where(wallets.holder_id == holder_id)",
        new="accounts = select(wallets.id).where(wallets.holder_id.is_not(None))",
        breaks="A user's ledger lists what others were given, and does not add up.",
        tests=(f"{_CREDITS}::test_signed_entries_add_up_to_each_balance",),
    ),
    Bug(
        name="spent_credits_have_no_sign",
        file="core/credits.py",
        old='sign = 1 if row.entry_type == "CREDIT" else -1',
        new="sign = 1",
        breaks="The entries do not add up to the balance.",
        tests=(f"{_CREDITS}::test_signed_entries_add_up_to_each_balance",),
    ),
    Bug(
        name="any_user_id_passes",
        file="schemas/credits.py",
        old="if not 1 <= len(value) <= USER_ID_CHARACTERS_LIMIT or not _VISIBLE.issuperset(value):",
        new="if not 1 <= len(value) <= USER_ID_CHARACTERS_LIMIT:",
        breaks="Two users look the same in every log, and NUL fails the database.",
        tests=("tests/routers/test_bad_credits.py::test_names",),
    ),
    Bug(
        name="credits_may_be_nothing",
        file="schemas/strict.py",
        old='if canonical == "0":',
        new='if canonical == "":',
        breaks="A movement of nothing reaches the ledger, which has no row for it.",
        tests=("tests/routers/test_bad_credits.py::test_amounts",),
    ),
)
