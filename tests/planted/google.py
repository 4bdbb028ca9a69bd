"""Bugs in signing in with Google: who is believed, and whose account is entered."""

from typing import Final

from tests.planted.bug import Bug

_LIES = "tests/routers/test_google_lies.py"
_METADATA = "tests/integrations/test_provider_metadata.py"
_TOKENS = f"{_LIES}::test_a_token_that_is_not_for_this_sign_in"
_LINK = "tests/routers/test_google_link.py"
_PEOPLE = "tests/routers/test_google.py"
_DEMO = "tests/routers/test_google_demo.py"

BUGS: Final = (
    Bug(
        name="google_nonce_not_checked",
        file="integrations/google.py",
        old='nonce={"essential": True, "value": nonce},',
        new='nonce={"essential": True},',
        breaks="A token that was stolen from another sign-in is believed.",
        tests=(_TOKENS,),
    ),
    Bug(
        name="google_audience_not_checked",
        file="integrations/google.py",
        old='    if claims["aud"] not in (client.client_id, [client.client_id]):\n'
        '        raise InvalidClaimError("aud")\n',
        new="",
        breaks="A token that is for another client as well is believed.",
        tests=(_TOKENS,),
    ),
    Bug(
        name="google_issuer_not_checked",
        file="integrations/google.py",
        old='iss={"essential": True, "values": issuers},',
        new='iss={"essential": True},',
        breaks="A token of another issuer is believed.",
        tests=(_TOKENS,),
    ),
    Bug(
        name="google_algorithm_of_the_token",
        file="integrations/google.py",
        old="algorithms=[ALGORITHM]",
        new='algorithms=[str(header.get("alg"))]',
        breaks="The token chooses how it is checked.",
        tests=(_TOKENS,),
    ),
    Bug(
        name="google_state_not_compared",
        file="core/identity_providers.py",
        old='if not hmac.compare_digest(str(claims["state"]).encode(), state.encode()):',
        new="if not state:",
        breaks="Somebody is signed in to the account of whoever sent them an address.",
        tests=(f"{_LIES}::test_the_state_of_another_browser",),
    ),
    Bug(
        name="google_cookie_not_forgotten",
        file="routers/google.py",
        old="[*JSON_HEADERS, visit.forgetting]",
        new="[*JSON_HEADERS]",
        breaks="The same state is good for another code.",
        tests=(f"{_LIES}::test_a_state_is_used_once",),
    ),
    Bug(
        name="google_verifier_not_sent",
        file="integrations/google.py",
        old='"code_verifier": challenge.verifier,',
        new="",
        breaks="No provider that keeps to PKCE gives a token.",
        tests=(f"{_PEOPLE}::test_a_newcomer_gets_an_account_a_wallet_and_tokens",),
    ),
    Bug(
        name="google_truthy_is_verified",
        file="integrations/google.py",
        old='if claims.get("email_verified") is not True or not isinstance(email, str):',
        new='if not claims.get("email_verified") or not isinstance(email, str):',
        breaks='The text "false" is a yes.',
        tests=(f"{_PEOPLE}::test_an_email_that_google_does_not_vouch_for_makes_nobody",),
    ),
    Bug(
        name="google_links_by_email",
        file="core/identities.py",
        old="        return known.user_id if known is not None else Taken(user_id=owner.id)\n",
        new="        if known is None:\n"
        "            _add(session, profile.issuer, profile.sub, owner.id)\n"
        "        return owner.id\n",
        breaks="Whoever gets an address gets the account that has it.",
        tests=(f"{_LINK}::test_an_account_is_linked_once_its_owner_says_so",),
    ),
    Bug(
        name="google_rival_is_a_stranger",
        file="core/identities.py",
        old="        return known.user_id if known is not None else Taken(user_id=owner.id)\n",
        new="        return Taken(user_id=owner.id)\n",
        breaks="Whoever arrives twice at once is told that their address is another's.",
        tests=(
            "tests/core/test_identities.py"
            "::test_who_becomes_a_person_between_two_looks_is_that_person",
        ),
    ),
    Bug(
        name="google_link_token_of_anybody",
        file="core/identities.py",
        old='        if read_id(claims["user_id"]) != user_id:\n'
        "            raise LinkTokenInvalid\n",
        new="",
        breaks="A Google account is linked to whoever has the token.",
        tests=(f"{_LINK}::test_nobody_else_can_link",),
    ),
    Bug(
        name="google_keys_kept_for_ever",
        file="integrations/provider_metadata.py",
        old="            elif not known and now - self._looked_again_at >= LOOK_AGAIN_SECONDS:\n"
        "                self._looked_again_at = now\n"
        "                await self._read_keys()\n",
        new="",
        breaks="Nobody can sign in for an hour after Google changed its keys.",
        tests=(f"{_LIES}::test_a_new_key_is_believed_at_once_and_the_old_one_no_longer",),
    ),
    Bug(
        name="google_asked_for_each_unknown_key",
        file="integrations/provider_metadata.py",
        old="elif not known and now - self._looked_again_at >= LOOK_AGAIN_SECONDS:",
        new="elif not known:",
        breaks="Whoever sends rubbish has us ask Google as often as they like.",
        tests=(f"{_LIES}::test_a_new_key_is_believed_at_once_and_the_old_one_no_longer",),
    ),
    Bug(
        name="google_waited_for_in_turn",
        file="integrations/provider_metadata.py",
        old="        if self._reading.locked():\n"
        "            return time.monotonic() - read_at < OVER_SECONDS\n",
        new="",
        breaks="While Google does not answer, everybody waits for it, one behind another.",
        tests=(f"{_METADATA}::test_nobody_waits_who_could_do_without",),
    ),
    Bug(
        name="demo_person_in_production",
        file="integrations/identity_providers.py",
        old="return None if in_production else DemoProvider()",
        new="return DemoProvider()",
        breaks="Everybody can sign in to production.",
        tests=(f"{_DEMO}::test_in_production_there_is_no_such_person",),
    ),
    Bug(
        name="first_wallet_not_opened",
        file="core/identities.py",
        old="        await self._open_first_wallet(found)\n",
        new="",
        breaks="Whoever comes with Google cannot be paid.",
        tests=(f"{_PEOPLE}::test_a_newcomer_gets_an_account_a_wallet_and_tokens",),
    ),
)
