"""Changes that no test can notice, because nothing is different afterwards, each with its reason.

A change is known by its module, its line as it is written, and what it is: an entry that fits
nothing any more is an error of `mutate.py`.
"""

# ruff: noqa: E501 -- the changed lines, as they are written

EQUIVALENTS: dict[tuple[str, str, str], str] = {
    (
        "altyn.money",
        "if not amount.is_finite() or abs(amount) > NANOS_MAX:",
        "Gt -> GtE",
    ): "as many units as a BIGINT holds nanos are refused by the second look as well",
    (
        "altyn.money",
        "with localcontext(prec=60, rounding=ROUND_05UP):",
        "60 -> 61",
    ): "no amount that fits a BIGINT has more than 19 digits, and what is cut off is never lost",
    (
        "altyn.money",
        "with localcontext(prec=60, rounding=ROUND_CEILING):",
        "60 -> 61",
    ): "rounded up twice is rounded up once",
    (
        "altyn.catalog.price",
        "if audio and at.audio_input > dearest:",
        "Gt -> GtE",
    ): "to take an equal price for the dearest changes nothing",
    (
        "altyn.catalog.price",
        "elif cache_writes and at.dearest_write > dearest:",
        "Gt -> GtE",
    ): "to take an equal price for the dearest changes nothing",
    (
        "altyn.catalog.price",
        "for kind, start, end in zip(kinds, starts, ends, strict=True)",
        "strict=True -> False",
    ): "each tier gives one kind, one start and one end",
    (
        "altyn.ledger.codes",
        "return Code(**dict(zip(Code.__struct_fields__, row, strict=True)))",
        "strict=True -> False",
    ): "the statement asks for as many columns",
    **{
        ("altyn.outcome", text, what): why
        for text, what, why in (
            (
                "return False  # nothing was said yet, but who leaves early has asked all the same",
                "return None for False",
                "nobody asks which kind of no it is",
            ),
            ("return False", "return None for False", "nobody asks which kind of no it is"),
            (
                "loss = _loss(outcome, spent, terms) if spent is not None else None",
                "spent is not None is True",
                "what is not known costs nothing that is known",
            ),
            (
                "ending = Ending(began=True, usage=usage, finish_reason=finish_reason, estimate=estimate)",
                "began=True -> False",
                "only an ending without usage asks",
            ),
        )
    },
    (
        "altyn.ledger.moves",
        "super().__init__(balance)",
        "without: super().__init__(balance)",
    ): "an exception keeps what it was called with in any case",
    (
        "altyn.ledger.book",
        "if self.unknown:  # one batch changes a row once",
        "self.unknown is True",
    ): "nothing is taken out of an empty list",
    (
        "altyn.ledger.book",
        "debit, credit = (other_id, account.id) if nanos > 0 else (account.id, other_id)",
        "Gt -> GtE",
    ): "no amount of 0 comes so far",
    (
        "altyn.ledger.statement",
        "f\"{LINES} WHERE e.chain_account_id + 0 = $1 AND e.kind IN ('settle', 'refund')\"",
        "SQL 'WHERE e.chain_account_id + 0 = $1 AND e.kind IN': + -> -",
    ): "nothing taken away is nothing added",
    (
        "altyn.ledger.writer",
        "return",
        "without: return",
    ): "one more void is refused, which ends it as well",
    (
        "altyn.ledger.writer",
        "continue",
        "without: continue",
    ): "it is the last statement of its loop",
    (
        "altyn.ledger.writer",
        "for waiting, answer in zip(batch, answers, strict=True):",
        "strict=True -> False",
    ): "there are as many answers as moves",
    (
        "altyn.ledger.audit",
        "LAST_NUMBER = 2**63 - 1",
        "1 -> 2",
    ): "no chain has so many entries",
    (
        "altyn.ledger.audit",
        "EVERYBODY = Stretch(0, LAST_NUMBER)",
        "0 -> 1",
    ): "the account with number 1 is the operator's from the first migration on",
    (
        "altyn.ledger.audit",
        'account, number, previous, balance = stretch.after, LAST_NUMBER, "", 0',
        "0 -> 1",
    ): "the first entry is of another account, with which the balance begins anew",
    **{
        (
            "altyn.ledger.audit",
            '"SELECT a.id FROM accounts a LEFT JOIN (SELECT chain_account_id AS account_id,"',
            what,
        ): "the outer condition is the same: the inner one spares reading"
        for what in (
            "SQL 'RE chain_account_id > $1 AND chain_account_id <= ': AND -> OR",
            "SQL 's WHERE chain_account_id > $1 AND chain_account': > -> >=",
        )
    },
    (
        "altyn.ledger.statement",
        '"WITH RECURSIVE search(moment, low, high) AS ("',
        "SQL ') AS m UNION ALL SELECT s.moment, CAS': UNION ALL -> UNION",
    ): "no two steps of a search are the same",
    (
        "altyn.ledger.statement",
        "return Line(**dict(zip(Line.__struct_fields__, row, strict=True)))",
        "strict=True -> False",
    ): "the statement asks for as many columns",
    **{
        ("altyn.ledger.workers", text, what): "no test can meet one millisecond of a clock"
        for text, what in (
            (
                "return owner.clock.outage_over_s() >= OUTAGE_OVER_S and await _has_been_there(tx)",
                "GtE -> Gt",
            ),
            (
                "\"SELECT clock_timestamp() - pg_postmaster_start_time() > $1 * interval '1 second'\",",
                "SQL '_postmaster_start_time() > $1 * interval '1 sec': > -> >=",
            ),
            (
                'f"SELECT shard FROM workers WHERE stopped_at IS NULL AND heartbeat_at > {now} - $1",',
                "SQL 'IS NULL AND heartbeat_at > ': > -> >=",
            ),
            (
                '"SELECT health FROM workers WHERE stopped_at IS NULL AND health IS NOT NULL"',
                "SQL 'OT NULL AND heartbeat_at > ': > -> >=",
            ),
            (
                'f"(w.stopped_at IS NOT NULL OR w.heartbeat_at < {now} - {DEAD_AFTER_MS}"',
                "SQL 'n' OR h.lease_expires_at < ': < -> <=",
            ),
            (
                "return await _list(database, f\"h.state = 'unknown' AND h.lease_expires_at >= {now}\", limit)",
                "SQL '' AND h.lease_expires_at >= ': >= -> >",
            ),
        )
    },
    (
        "altyn.ledger.workers",
        "shard = min(set(range(len(taken) + 1)) - {number for (number,) in taken})",
        "1 -> 2",
    ): "one number more to choose from is never the lowest",
}
