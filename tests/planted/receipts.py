"""Bugs in receipts: what is promised with the money, handed over, sent, and marked done."""

from typing import Final

from tests.planted.bug import Bug

_OUTBOX = "tests/core/test_outbox.py"
_RELAY = "tests/operations/test_relay.py"
_HANDED_OVER = f"{_RELAY}::test_what_was_handed_over_is_open_until_it_was_sent"
_COURIER = "tests/operations/test_courier.py"
_AWAY = f"{_COURIER}::test_a_provider_that_is_away_is_asked_again"
_PARTIES = f"{_OUTBOX}::test_each_party_of_a_success_gets_a_receipt"

BUGS: Final = (
    Bug(
        name="all_that_wait_read_for_each_message",
        file="core/outbox.py",
        old='id_among(dialect_name, outbox.c.id, "ids"), _is_still_open()',
        new='id_among(dialect_name, outbox.c.id, "ids"), _is_open()',
        breaks="The more receipts wait, the longer each message takes, and the database is busy.",
        tests=("tests/core/test_outbox_plans.py::test_a_message_reads_its_own_receipts_alone",),
    ),
    Bug(
        name="done_on_enqueue",
        file="operations/relay.py",
        old="        if lease.ids:\n",
        new="""\
        from core.outbox import mark_done

        async with database.transaction() as session:
            await mark_done(session, lease.ids, now=now)
        if lease.ids:
""",
        breaks="What Redis loses between the relay and a worker is never sent.",
        tests=(_HANDED_OVER,),
    ),
    Bug(
        name="done_before_the_send",
        file="operations/courier.py",
        old="        try:\n            async with self._sending, asyncio.timeout(MAIL_SECONDS):",
        new="""\
        await self._finishing.submit(receipt_id)
        try:
            async with self._sending, asyncio.timeout(MAIL_SECONDS):""",
        breaks="A worker that dies while sending, or a provider that fails, loses the receipt.",
        tests=(f"{_COURIER}::test_a_receipt_is_done_once_it_was_sent",),
    ),
    Bug(
        name="done_after_a_failure",
        file="operations/courier.py",
        old="            await self._put_off(receipt_id, error)\n            return\n",
        new="            await self._put_off(receipt_id, error)\n",
        breaks="A receipt that the provider did not take counts as sent.",
        tests=(_AWAY,),
    ),
    Bug(
        name="given_up_at_the_first_failure",
        file="operations/courier.py",
        old="permanent=isinstance(error, MailRefused),",
        new="permanent=True,",
        breaks="A provider that is away for a moment costs everybody their receipts.",
        tests=(_AWAY,),
    ),
    Bug(
        name="leased_before_redis_is_asked",
        file="operations/relay.py",
        old="""\
        queued: int = broker.client.llen(f"{broker.namespace}:{self._queue}")
        if queued >= QUEUED_LIMIT:
            return 0
        async with database.transaction() as session:
            lease = await self._due.lease_due(session, now=now, limit=self._rows_in_a_pass)
""",
        new="""\
        async with database.transaction() as session:
            lease = await self._due.lease_due(session, now=now, limit=self._rows_in_a_pass)
        queued: int = broker.client.llen(f"{broker.namespace}:{self._queue}")
        if queued >= QUEUED_LIMIT:
            return 0
""",
        breaks="While Redis is away, all receipts are taken and wait for the end of their lease.",
        tests=(f"{_RELAY}::test_nothing_is_taken_that_cannot_be_handed_over",),
    ),
    Bug(
        name="relay_skips_late_commits",
        file="operations/relay.py",
        old="        if lease.ids:\n",
        new="""\
        ids = [one for one in lease.ids if one > getattr(self, "_last_id", 0)]
        self._last_id = max(ids, default=getattr(self, "_last_id", 0))
        lease = lease._replace(ids=ids)
        if lease.ids:
""",
        breaks="A transaction that commits after one with a higher id is never told of.",
        tests=(_HANDED_OVER,),
    ),
    Bug(
        name="lone_receipt_left_out",
        file="operations/relay.py",
        old="        if lease.ids:\n",
        new="        if len(lease.ids) > 1:\n",
        breaks="A receipt that is due alone waits for the end of its lease, again and again.",
        tests=(_HANDED_OVER,),
    ),
    Bug(
        name="outbox_skips_late_commits",
        file="core/outbox.py",
        old="        session, Tables.outbox, _is_open(), now=now, duration=LEASE, limit=limit\n",
        new="""\
        session,
        Tables.outbox,
        and_(
            _is_open(),
            Tables.outbox.c.id
            > select(func.coalesce(func.max(Tables.outbox.c.id), 0))
            .where(Tables.outbox.c.done_at.is_not(None))
            .scalar_subquery(),
        ),
        now=now,
        duration=LEASE,
        limit=limit,
""",
        breaks="The same: whatever is older than the last one sent is taken for sent.",
        tests=(f"{_OUTBOX}::test_a_late_commit_is_not_skipped",),
    ),
    Bug(
        name="lease_is_everybodys",
        file="core/leases.py",
        old="        .with_for_update(skip_locked=True)\n",
        new="",
        breaks="Two workers take the same receipts at the same moment.",
        tests=(f"{_OUTBOX}::test_a_lease_is_one_callers_until_it_ends",),
    ),
    Bug(
        name="lease_never_ends",
        file="core/outbox.py",
        old="now=now, duration=LEASE, limit=limit",
        new="now=now, duration=LEASE * 100_000, limit=limit",
        breaks="A receipt that was handed over and lost is not handed over again.",
        tests=(f"{_OUTBOX}::test_a_lease_is_one_callers_until_it_ends",),
    ),
    Bug(
        name="every_attempt_has_its_own_mail_key",
        file="integrations/receipts.py",
        old='key=str(uuid5(UUID(installation_id), f"receipt {receipt.id}")),',
        new='key=str(__import__("uuid").uuid4()),',
        breaks="A receipt that is sent again arrives again.",
        tests=(
            "tests/integrations/test_receipts.py"
            "::test_a_receipt_has_one_key_and_another_receipt_another",
        ),
    ),
    Bug(
        name="receipt_for_the_sender_alone",
        file="core/booking.py",
        old="            if account.user_id is not None and account.user_id != told:",
        new="            if account.user_id is not None and account.id == movement.wallet_id:",
        breaks="Whoever is paid hears nothing of it.",
        tests=(_PARTIES,),
    ),
    Bug(
        name="receipt_not_written_with_the_money",
        file="core/records.py",
        old="            Work(RECEIPTS, self._receipts, (self.now, self.now, 0)),\n",
        new="",
        breaks="Nobody hears of anything.",
        tests=(_PARTIES,),
    ),
    Bug(
        name="receipt_tells_the_others_balance",
        file="core/outbox.py",
        old=", own_wallet.c.user_id == outbox.c.user_id)",
        new=")",
        breaks="A receipt tells its recipient the balance of the other party.",
        tests=(_PARTIES,),
    ),
    Bug(
        name="names_are_markup",
        file="integrations/receipts.py",
        old='autoescape=select_autoescape(["html"]),',
        new="autoescape=False,",
        breaks="A person's name can be a script in another's mail.",
        tests=("tests/integrations/test_receipts.py::test_names_stay_text",),
    ),
)
