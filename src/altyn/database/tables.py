"""Every table, once. Migrations are compared with this file by a test.

Times are integer milliseconds since 1970 UTC (`*_at`), money is integer nanos (`*_nanos`), flags
are 0 or 1, lists and rules are JSON text: the same on SQLite and PostgreSQL.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()


def _serial() -> Column[int]:
    """A row number. SQLite numbers only INTEGER keys by itself, and there they are 64 bits wide."""
    return Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True)


# People ---------------------------------------------------------------------------------------

accounts = Table(
    "accounts",
    metadata,
    _serial(),
    # What the account is: a customer's, or one of the operator's own (cash_in, revenue, ...).
    Column("kind", Text, nullable=False),
    # The operator's accounts are sharded by writer, so that no row is hot; 0 for customers.
    Column("shard", BigInteger, nullable=False, server_default=text("0")),
    Column("name", Text, nullable=False),
    Column("posted_nanos", BigInteger, nullable=False, server_default=text("0")),
    Column("held_nanos", BigInteger, nullable=False, server_default=text("0")),
    # Running totals of what came in and what was used, for GET /balance without a sum.
    Column("deposited_nanos", BigInteger, nullable=False, server_default=text("0")),
    Column("used_nanos", BigInteger, nullable=False, server_default=text("0")),
    # The end of the account's hash chain, and how many links it has.
    Column("chain_hash", Text),
    Column("chain_length", BigInteger, nullable=False, server_default=text("0")),
    Column("frozen_at", BigInteger),
    # Below which available amount its people want to be warned; NULL is never.
    Column("low_balance_nanos", BigInteger),
    # When they were told that it came to that; NULL again once it is above.
    Column("low_told_at", BigInteger),
    Column("price_group", Text),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("parallel_requests", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    CheckConstraint("held_nanos >= 0", name="held_is_never_negative"),
    CheckConstraint(
        "kind <> 'customer' OR posted_nanos >= held_nanos", name="available_is_never_negative"
    ),
)
Index(
    "accounts_of_the_operator",
    accounts.c.kind,
    accounts.c.shard,
    unique=True,
    sqlite_where=accounts.c.kind != "customer",
    postgresql_where=accounts.c.kind != "customer",
)

users = Table(
    "users",
    metadata,
    _serial(),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("email", Text, nullable=False, unique=True),
    Column("password_hash", Text),
    # owner, operator or support for people who run the place; NULL for customers.
    Column("operator_role", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("name", Text),
    # What they chose; NULL is what their browser asks for.
    Column("language", Text),
    Column("zone", Text),
    Column("email_confirmed_at", BigInteger),
    # The shared secret of one-time passwords, sealed; and the last step that was used of it, so
    # that a password seen over a shoulder opens nothing.
    Column("totp_sealed", LargeBinary),
    Column("totp_step", BigInteger),
    # An account that its owner has closed: nobody signs in, nothing of the person is kept.
    Column("closed_at", BigInteger),
)

# What opens the door once when the telephone is lost.
recovery_codes = Table(
    "recovery_codes",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.id"), nullable=False, index=True),
)

# Who somebody is at an identity provider, and which user that is here.
identities = Table(
    "identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("user_id", BigInteger, ForeignKey("users.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
)

# Mail that is to be sent, written in the transaction that is its reason. Sent mail is deleted.
# What a person has agreed to when they signed up: which document of the operator, where it stood.
consents = Table(
    "consents",
    metadata,
    Column("user_id", BigInteger, ForeignKey("users.id"), primary_key=True),
    Column("document", Text, primary_key=True),
    Column("url", Text, nullable=False),
    Column("agreed_at", BigInteger, nullable=False),
    CheckConstraint("document IN ('terms', 'privacy')", name="document_is_known"),
)

letters = Table(
    "letters",
    metadata,
    _serial(),
    Column("recipient", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False, index=True),
    Column("attempts", BigInteger, nullable=False, server_default=text("0")),
    Column("failure", Text),
)

# Who is signed in, and where. The cookie's secret itself is nowhere, only its digest.
sessions = Table(
    "sessions",
    metadata,
    _serial(),
    Column("user_id", BigInteger, ForeignKey("users.id"), nullable=False, index=True),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("browser", Text, nullable=False),
)

# What is good once: links (the first owner, an invitation, an address, a new password), forms.
tickets = Table(
    "tickets",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("purpose", Text, nullable=False),
    Column("user_id", BigInteger, ForeignKey("users.id")),
    Column("email", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    CheckConstraint(
        "purpose IN ('set_up', 'invite', 'confirm', 'reset', 'change', 'form')",
        name="purpose_is_known",
    ),
)

keys = Table(
    "keys",
    metadata,
    _serial(),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("mode", Text, nullable=False),
    # The secret itself is nowhere: a keyed digest finds it, prefix and last four show it.
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("prefix", Text, nullable=False),
    Column("last_four", Text, nullable=False),
    Column("limit_nanos", BigInteger),
    Column("limit_period", Text),
    Column("models", Text),
    Column("ip_ranges", Text),
    Column("scopes", Text),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("parallel_requests", BigInteger),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("disabled_at", BigInteger),
    # After a rotation the secret before it opens the same key until then.
    Column("old_digest", LargeBinary, unique=True),
    Column("old_last_four", Text),
    Column("old_until", BigInteger),
    CheckConstraint("mode IN ('live', 'test')", name="mode_is_known"),
    CheckConstraint("limit_nanos IS NULL OR limit_nanos >= 0", name="limit_is_an_amount"),
)

# What a key with a spend limit has used of it, per window. A window is never reset: the next one is
# another row, so no clean-up job can erase what was spent meanwhile.
key_spends = Table(
    "key_spends",
    metadata,
    Column("key_id", BigInteger, ForeignKey("keys.id"), primary_key=True),
    Column("window_at", BigInteger, primary_key=True),
    Column("spent_nanos", BigInteger, nullable=False, server_default=text("0")),
    Column("held_nanos", BigInteger, nullable=False, server_default=text("0")),
    CheckConstraint("spent_nanos >= 0 AND held_nanos >= 0", name="spend_is_never_negative"),
)

# Money ----------------------------------------------------------------------------------------

entries = Table(
    "entries",
    metadata,
    _serial(),
    Column("at", BigInteger, nullable=False),
    Column("debit_account_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("credit_account_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("amount_nanos", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    # What caused it: a request id, a payment reference. One entry of a kind for each.
    Column("ref", Text, nullable=False),
    Column("reason", Text),
    # The customer's side: whose chain this is, its place in it, the posted balance after it.
    Column("chain_account_id", BigInteger, ForeignKey("accounts.id")),
    Column("chain_number", BigInteger),
    Column("balance_after_nanos", BigInteger),
    Column("chain_hash", Text),
    CheckConstraint("amount_nanos > 0", name="amount_is_positive"),
    CheckConstraint("debit_account_id <> credit_account_id", name="two_sides"),
    UniqueConstraint("kind", "ref", name="once_for_each_cause"),
    UniqueConstraint("chain_account_id", "chain_number", name="one_chain_for_each_account"),
)

# What is no charge: found on a balance page without reading a million charges.
Index(
    "entries_beside_charges",
    entries.c.chain_account_id,
    entries.c.chain_number,
    sqlite_where=entries.c.kind != "settle",
    postgresql_where=entries.c.kind != "settle",
)

# What turns into money for whoever writes it into their balance page. Whether and by whom it was
# redeemed stands in the ledger alone: the deposit whose ref is `code-` and its id.
codes = Table(
    "codes",
    metadata,
    _serial(),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("last_four", Text, nullable=False),
    Column("amount_nanos", BigInteger, nullable=False),
    # Where the money comes from: cash_in for a code that was sold, promo for a gift.
    Column("source", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_by", BigInteger, ForeignKey("users.id")),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("voided_at", BigInteger),
    CheckConstraint("amount_nanos > 0", name="a_code_is_an_amount"),
    CheckConstraint("source IN ('cash_in', 'promo')", name="source_is_known"),
)

# Only unresolved holds: resolving one deletes it, and the deletion that finds it is the
# compare-and-set. So this table stays small however many calls there ever were; what became of a
# hold stands in its usage record.
holds = Table(
    "holds",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("key_id", BigInteger, ForeignKey("keys.id"), nullable=False),
    Column("amount_nanos", BigInteger, nullable=False),
    # open; unknown when its owner died with an answer under way.
    Column("state", Text, nullable=False),
    Column("key_window_at", BigInteger),
    # The attempt: prepared before dispatch, sent at the first upstream byte, then checkpoints.
    Column("attempt", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("price_id", BigInteger, ForeignKey("prices.id")),
    Column("provider", Text),
    Column("upstream_id", Text),
    Column("input_bound", BigInteger, nullable=False),
    Column("delivered_bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("streamed", BigInteger, nullable=False),
    Column("worker_id", BigInteger, ForeignKey("workers.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("lease_expires_at", BigInteger, nullable=False),
    # With the price row, the markup makes the price of the quote, whatever changes meanwhile.
    Column("markup_ppm", BigInteger),
    CheckConstraint("amount_nanos >= 0", name="a_hold_is_an_amount"),
    CheckConstraint("state IN ('open', 'unknown')", name="state_is_known"),
    sqlite_with_rowid=False,
)

workers = Table(
    "workers",
    metadata,
    _serial(),
    Column("shard", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("heartbeat_at", BigInteger, nullable=False),
    Column("stopped_at", BigInteger),
    # How this process finds its routes, a JSON document for `route list` and `provider list`.
    Column("health", Text),
)

# What is on sale ------------------------------------------------------------------------------

models = Table(
    "models",
    metadata,
    Column("id", Text, primary_key=True),
    # Everything that is shown and checked, as one document: see catalog/model.py.
    Column("document", Text, nullable=False),
    Column("on_sale", BigInteger, nullable=False, server_default=text("1")),
    Column("position", BigInteger, nullable=False),
    # priority, price or latency: which route is asked first. NULL: as the installation's setting.
    Column("route_strategy", Text),
    Column("updated_at", BigInteger, nullable=False),
    # The operator's word: another model serves under this name; from this moment nobody does; this
    # is the one to call instead. The vendor's own dates stand in the document.
    Column("served_as", Text, ForeignKey("models.id")),
    Column("retires_at", BigInteger),
    Column("replaced_by", Text),
)

# Price rows are never edited: a new price is a new row with a later date. A trigger refuses UPDATE
# and DELETE, for markups too.
prices = Table(
    "prices",
    metadata,
    _serial(),
    Column("model_id", Text, ForeignKey("models.id"), nullable=False),
    # cost: what we pay; sell: a fixed price. Without a sell row the cost row and the markup decide.
    Column("kind", Text, nullable=False),
    Column("price_group", Text),
    Column("effective_from", BigInteger, nullable=False),
    # `null`: from here on there is no such price, and the next rule decides.
    Column("document", Text, nullable=False),
    Column("source", Text),
    Column("created_at", BigInteger, nullable=False),
    # A cost at one provider; NULL: what the model costs wherever nothing else is said.
    Column("provider", Text),
    Column("written_by", Text),
    CheckConstraint("kind IN ('cost', 'sell')", name="price_kind_is_known"),
)
Index("prices_of_a_model", prices.c.model_id, prices.c.effective_from)

markups = Table(
    "markups",
    metadata,
    _serial(),
    Column("price_group", Text),
    # Parts per million on top of the cost: 200_000 is 20 %. NULL: from here on there is no such
    # markup, and the next rule decides.
    Column("parts_per_million", BigInteger),
    Column("effective_from", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("model_id", Text, ForeignKey("models.id")),
    Column("written_by", Text),
)

providers = Table(
    "providers",
    metadata,
    _serial(),
    Column("name", Text, nullable=False, unique=True),
    Column("dialect", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    # AES-GCM under a key that is not in the database.
    Column("secret_sealed", LargeBinary),
    Column("proxy_sealed", LargeBinary),
    Column("parallel_requests", BigInteger),
    # While drained it gets no new calls; resumed is when the operator last declared it well.
    Column("drained_at", BigInteger),
    Column("resumed_at", BigInteger),
    Column("created_at", BigInteger, nullable=False),
)

routes = Table(
    "routes",
    metadata,
    _serial(),
    Column("model_id", Text, ForeignKey("models.id"), nullable=False),
    Column("provider_id", BigInteger, ForeignKey("providers.id"), nullable=False),
    Column("upstream_model", Text, nullable=False),
    Column("priority", BigInteger, nullable=False, server_default=text("100")),
    Column("weight", BigInteger, nullable=False, server_default=text("1")),
    Column("created_at", BigInteger, nullable=False),
    Column("dialect", Text),  # NULL: the provider's
    UniqueConstraint("model_id", "provider_id", "upstream_model", name="a_route_once"),
)

# Every change of keys, accounts, catalog or routes adds one; each process looks twice a second.
revisions = Table(
    "revisions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, nullable=False),
)

# What was used --------------------------------------------------------------------------------

usage_records = Table(
    "usage_records",
    metadata,
    Column("request_id", Text, primary_key=True),
    Column("account_id", BigInteger, ForeignKey("accounts.id"), nullable=False),
    Column("key_id", BigInteger, ForeignKey("keys.id"), nullable=False),
    Column("mode", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("status", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("streamed", BigInteger, nullable=False),
    # NULL is "not known", never 0.
    Column("input_uncached", BigInteger),
    Column("cache_read", BigInteger),
    Column("cache_write_5m", BigInteger),
    Column("cache_write_1h", BigInteger),
    Column("audio_input", BigInteger),
    Column("output_text", BigInteger),
    Column("reasoning", BigInteger),
    Column("image", BigInteger),
    Column("web_searches", BigInteger),
    # Of the written: counted in the prompt once, billed twice.
    Column("written_on_top", BigInteger, server_default=text("0")),
    Column("charge_nanos", BigInteger, nullable=False),
    Column("cost_nanos", BigInteger),
    Column("hold_nanos", BigInteger, nullable=False),
    Column("price_id", BigInteger),
    # With the price row, the markup makes the price as it was applied: any receipt can be computed
    # again.
    Column("markup_ppm", BigInteger),
    Column("provider", Text),
    Column("upstream_model", Text),
    Column("upstream_id", Text),
    Column("latency_ms", BigInteger),
    Column("first_token_ms", BigInteger),
    Column("finish_reason", Text),
    Column("error_code", Text),
    Column("attempts", BigInteger, nullable=False),
    Column("flags", Text),
    # Who answered and was paid, where that is another model than the one that was asked for.
    Column("served_model", Text),
    sqlite_with_rowid=False,
)
# What a list is filtered by stands in the index: a rare one is found without reading the others.
Index(
    "usage_records_of_an_account",
    usage_records.c.account_id,
    usage_records.c.created_at,
    usage_records.c.request_id,
    usage_records.c.model,
    usage_records.c.key_id,
    usage_records.c.status,
    usage_records.c.mode,
)

# The same, summed by hour: totals over millions of calls without reading them.
usage_hours = Table(
    "usage_hours",
    metadata,
    Column("account_id", BigInteger, ForeignKey("accounts.id"), primary_key=True),
    Column("hour_at", BigInteger, primary_key=True),
    Column("key_id", BigInteger, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("mode", Text, primary_key=True),
    Column("status", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("charge_nanos", BigInteger, nullable=False),
    # Of the requests, those whose tokens nobody knows: their sum is "no data", not 0.
    Column("uncounted", BigInteger, nullable=False, server_default=text("0")),
    sqlite_with_rowid=False,
)

# Answers kept for a repeated Idempotency-Key.
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("account_id", BigInteger, ForeignKey("accounts.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("body_hash", LargeBinary, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("answer", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
)
