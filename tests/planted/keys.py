"""Bugs in keys. Of idempotency: whose a key is, what it stands for, and when its answer is kept.
Of people's own API keys: who may make, replace and end them, how many there are, what they open.
"""

from typing import Final

from tests.planted.bug import Bug

_KEYS = "tests/middleware/test_idempotency.py"
_ONE_REQUEST = f"{_KEYS}::test_a_key_stands_for_one_request"
_OTHER_PERSON = f"{_KEYS}::test_another_persons_same_key_is_unrelated"
_REMEMBERED = f"{_KEYS}::test_refusals_inside_the_transaction_are_remembered"
_CREDITS = "tests/routers/test_credits.py"
_PRESENT_BALANCE = f"{_CREDITS}::test_the_same_key_is_the_same_transaction_with_the_present_balance"
_OTHER_CREDITS = f"{_CREDITS}::test_the_same_key_for_something_else_is_refused"
_WITHOUT_REDIS = f"{_KEYS}::test_without_redis_the_database_gives_it"
_FIRST = f"{_KEYS}::test_a_second_waits_for_the_first_and_then_says_so"
_WAITS_FOR_FAILURE = f"{_KEYS}::test_whoever_waits_for_what_fails_acts"
_OWN = "tests/routers/test_keys.py"
_BY_KEY = "tests/routers/test_wallet_by_key.py"
_OPENS = "tests/routers/test_ways_in.py::test_a_key_opens_what_its_permission_says_and_nothing_else"
_ROLLED_OVER = f"{_OWN}::test_an_expired_key_is_rolled_over_once"

BUGS: Final = (
    Bug(
        name="key_is_everybodys_in_the_database",
        file="dependencies/attempts.py",
        old="principal_id=self._keyed.principal_id,",
        new="principal_id=1,",
        breaks="One person's key is another's: they are refused, or told of the other's money.",
        tests=(_OTHER_PERSON,),
    ),
    Bug(
        name="key_is_everybodys_in_redis",
        file="middleware/answer_cache.py",
        old=":answered:{request.principal_id}:{digest}",
        new=":answered:{digest}",
        breaks="One person is served another's answer, and their own money does not move.",
        tests=(_OTHER_PERSON,),
    ),
    Bug(
        name="redis_mixes_databases",
        file="middleware/answer_cache.py",
        old='self._prefix = f"wallet:{installation_id}"',
        new='self._prefix = "wallet"',
        breaks="A Redis that serves two databases answers for the wrong one.",
        tests=(f"{_KEYS}::test_one_redis_may_serve_two_databases",),
    ),
    Bug(
        name="replay_not_compared_in_the_database",
        file="core/settlement.py",
        old="if known.fingerprint != attempt.fingerprint:",
        new="if not known.fingerprint:",
        breaks="Another request under a used key is told that the first one succeeded.",
        tests=(f"{_ONE_REQUEST}[sqlite-none]",),
    ),
    Bug(
        name="replay_not_compared_in_redis",
        file="middleware/answer_cache.py",
        old="if fingerprint != request.fingerprint:",
        new="if not fingerprint:",
        breaks="The same, for answers from Redis, and for whoever waited for the first request.",
        tests=(
            f"{_ONE_REQUEST}[sqlite-shared]",
            f"{_FIRST}[sqlite]",
            f"{_KEYS}::test_whoever_waits_in_vain_is_answered_by_the_database[sqlite]",
        ),
    ),
    Bug(
        name="fingerprint_without_path",
        file="routers/plan.py",
        old="{request.scope['method']} {self._path} {ids} {body}",
        new="{request.scope['method']} {ids} {body}",
        breaks="A deposit under the key of a withdrawal is answered with the withdrawal.",
        tests=(f"{_KEYS}::test_a_key_stands_for_one_kind_of_movement",),
    ),
    Bug(
        name="fingerprint_without_body",
        file="routers/plan.py",
        old="{request.scope['method']} {self._path} {ids} {body}",
        new="{request.scope['method']} {self._path} {ids}",
        breaks="Another amount under a used key is told that the first one succeeded.",
        tests=(_ONE_REQUEST,),
    ),
    Bug(
        name="key_not_written_with_the_money",
        file="core/records.py",
        old="            Work(KEYS, sorted(self._keys, key=itemgetter(0, 1)), (0, self.now)),\n",
        new="",
        breaks="Only Redis knows what was done: without it a retry moves the money again.",
        tests=(_WITHOUT_REDIS,),
    ),
    Bug(
        name="refusal_not_remembered",
        file="core/settlement.py",
        old="        self._remember(attempt, rendered, transaction_id)",
        new="        if not isinstance(outcome, Refused):\n"
        "            self._remember(attempt, rendered, transaction_id)",
        breaks="A retry of what was refused acts after all, when Redis has forgotten.",
        tests=(_REMEMBERED,),
    ),
    Bug(
        name="replay_only_reads",
        file="core/records.py",
        old="        self._replays[key] += 1",
        new="        self._replays[key] += 0",
        breaks="A replay may answer from a commit that a failover then loses.",
        tests=("tests/core/test_ledger.py::test_a_replay_is_written_down",),
    ),
    Bug(
        name="replays_counted_before_their_key_is_written",
        file="core/records.py",
        old="""        ]
        # In order, as the keys are: two batches that repeat the same ones must not deadlock.
        yield [Work(REPLAYS,""",
        new="""        ] + [Work(REPLAYS,""",
        breaks="Replays in the batch of the first request are not written down.",
        tests=("tests/core/test_ledger.py::test_a_replay_is_written_down",),
    ),
    Bug(
        name="cached_before_commit",
        file="dependencies/attempts.py",
        old="            return Rendered(status, show(outcome).model_dump_json())",
        new="""\
            rendered = Rendered(status, show(outcome).model_dump_json())
            from core.commands import Answer

            self._keyed.answer = Answer(rendered.status, rendered.body, replayed=False)
            return rendered""",
        breaks="Redis tells of a success whose commit failed: the retry is told so, and is lost.",
        tests=(f"{_KEYS}::test_an_answer_that_is_not_durable_is_kept_nowhere",),
    ),
    Bug(
        name="cached_answer_before_the_sign_in_check",
        file="dependencies/caller.py",
        old="    if not await services.sign_in_check.lasts(claims.sign_in_id):",
        new="""\
    repeated = any(name == b"x-idempotency-key" for name, _ in request.scope["headers"])
    if not repeated and not await services.sign_in_check.lasts(claims.sign_in_id):""",
        breaks="Cached answers are served to whoever has a token of a person who signed out.",
        tests=(f"{_KEYS}::test_what_was_refused_before_it_is_not_remembered",),
    ),
    Bug(
        name="nobody_is_told_that_it_is_over",
        file="middleware/answer_cache.py",
        old="            request.over.set()\n",
        new="            pass\n",
        breaks="Whoever waits for the first request waits a second, however soon it ends.",
        tests=(_FIRST, _WAITS_FOR_FAILURE),
    ),
    Bug(
        name="a_herd_is_let_through",
        file="middleware/answer_cache.py",
        old="            first = self._under_way.get(name)\n",
        new="            first = None\n",
        breaks="Redis is asked by everybody who repeats a request that is under way.",
        tests=(f"{_KEYS}::test_nobody_asks_for_what_is_under_way",),
    ),
    Bug(
        name="key_that_was_met_is_not_looked_up",
        file="middleware/met_keys.py",
        old="            self._young[byte] |= mask\n",
        new="",
        breaks="Redis keeps answers that nobody asks for, and all repetitions reach the ledger.",
        tests=(f"{_KEYS}::test_the_first_answer_comes_again",),
    ),
    Bug(
        name="replayed_credits_tell_the_old_balance",
        file="dependencies/attempts.py",
        old="if renew is not None and answer.replayed and answer.status == status:",
        new="if renew is not None and not answer.replayed and answer.status == status:",
        breaks="Whoever repeats a request believes in a balance that is long spent.",
        tests=(_PRESENT_BALANCE,),
    ),
    Bug(
        name="credits_are_answered_by_redis",
        file="routers/plan.py",
        old="return self.key in (required_key, optional_key)",
        new="return self.key is not None",
        breaks="The same, as long as Redis keeps the answer.",
        tests=(_PRESENT_BALANCE,),
    ),
    Bug(
        name="key_in_the_body_is_ignored",
        file="dependencies/attempts.py",
        old="in_header if in_header is not None else in_body)",
        new="in_header)",
        breaks="A request that is repeated under its key gives the credits again.",
        tests=(_PRESENT_BALANCE,),
    ),
    Bug(
        name="keys_that_differ_are_taken",
        file="dependencies/attempts.py",
        old="if in_header is not None and in_body is not None and in_header != in_body:",
        new="if in_header is not None and in_body is not None and not in_header:",
        breaks="Which of two keys counts is anybody's guess, and the other one gives again.",
        tests=(f"{_CREDITS}::test_the_key_may_come_either_way_and_in_both_if_they_agree",),
    ),
    Bug(
        name="path_is_not_in_the_fingerprint",
        file="routers/plan.py",
        old="ids = [arguments[name] for name in self._in_path]",
        new="ids: list[Any] = []",
        breaks="A key that gave one user credits is taken to have given them to another.",
        tests=(_OTHER_CREDITS,),
    ),
    Bug(
        name="anothers_api_key_is_found",
        file="core/own_keys.py",
        old="    statement = await _select_own(session, owner_id)\n    row = ",
        new="    statement = select_keys(connection.dialect.name)\n    row = ",
        breaks="Everybody rolls over and revokes everybody's keys, whose ids are no secret.",
        tests=(f"{_OWN}::test_anothers_key_is_answered_as_one_that_does_not_exist",),
    ),
    Bug(
        name="any_api_key_is_rolled_over",
        file="core/own_keys.py",
        old="        if not old.expired:\n            raise ApiKeyNotExpired\n",
        new="",
        breaks="A valid key is replaced, and whoever uses it is locked out.",
        tests=(_ROLLED_OVER,),
    ),
    Bug(
        name="api_key_is_rolled_over_again",
        file="core/own_keys.py",
        old="        await end_key(session, old.id)\n",
        new="",
        breaks="One expired key becomes many valid ones.",
        tests=(_ROLLED_OVER, f"{_OWN}::test_rolled_over_many_times_at_once_it_is_one_key"),
    ),
    Bug(
        name="api_keys_counted_under_no_lock",
        file="core/own_keys.py",
        old=".where(people.c.id == owner_id).with_for_update(key_share=True)",
        new=".where(people.c.id == owner_id)",
        breaks="Whoever asks for many keys at once gets more than five.",
        tests=(f"{_OWN}::test_five_are_made_of_many_at_once",),
    ),
    Bug(
        name="rolled_over_api_keys_are_not_counted",
        file="core/own_keys.py",
        old="        await _check_may_have_another(session, owner_id)\n        await end_key",
        new="        await end_key",
        breaks="Expired keys are made valid again without any limit.",
        tests=(f"{_OWN}::test_five_may_be_active_and_what_has_ended_does_not_count",),
    ),
    Bug(
        name="api_key_makes_api_key",
        file="dependencies/caller.py",
        old="    return Service(holder)\n",
        new="""\
    if holder.owner_id is not None:
        return Caller(holder.owner_id, 0)
    return Service(holder)
""",
        breaks="A key that leaked makes another before it is revoked, and lives on.",
        tests=(f"{_OWN}::test_a_key_with_every_permission_neither_makes_nor_ends_keys",),
    ),
    Bug(
        name="reading_api_keys_move_money",
        file="dependencies/caller.py",
        old="PayerDep = Annotated[Caller | Service, Depends(TRANSFERS)]",
        new="PayerDep = Annotated[Caller | Service, Depends(READS)]",
        breaks="A key that was made to show a balance empties the wallet.",
        tests=(_OPENS,),
    ),
    Bug(
        name="revoked_api_keys_are_remembered",
        file="core/key_check.py",
        old="        row = await self._rows.submit(int(match[2]))\n",
        new="""\
        seen = self.__dict__.setdefault("_seen", {})
        row = seen.get(match[2]) or await self._rows.submit(int(match[2]))
        seen[match[2]] = row
""",
        breaks="A key that was revoked opens as long as the process lives.",
        tests=(f"{_OWN}::test_revoking_is_for_good_and_may_be_repeated",),
    ),
    Bug(
        name="api_keys_multiply_the_limit",
        file="dependencies/caller.py",
        old="    if caller.principal_id != HOUSE:",
        new="    if isinstance(caller, Caller):",
        breaks="With five keys a person moves money many times as often as they may.",
        tests=(f"{_BY_KEY}::test_keys_do_not_multiply_what_a_person_may_do",),
    ),
    Bug(
        name="wallet_shows_all_accounts",
        file="core/history.py",
        old="_PRIMARY_WALLETS if primary_only else _WALLETS",
        new="_WALLETS",
        breaks="A key for the wallet tells what moves on its owner's further accounts.",
        tests=(f"{_BY_KEY}::test_transactions_are_those_of_the_wallet",),
    ),
    Bug(
        name="wallet_transfer_not_repeated_after_closing",
        file="routers/wallets.py",
        old="        return await pending.repeat_or_refuse(refusal)",
        new="        raise refusal",
        breaks="Whoever repeats a transfer that was made is told that it cannot be.",
        tests=(f"{_BY_KEY}::test_a_transfer_under_a_key_is_made_once",),
    ),
)
