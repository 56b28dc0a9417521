-- Virtual keys, spend records and how far each spool has been put in.
-- Amounts are nano-dollars, times are milliseconds since 1970 in UTC.

CREATE TABLE virtual_keys (
    hash                  BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    name                  TEXT    NOT NULL,
    alias                 TEXT    UNIQUE,
    models                TEXT    NOT NULL CHECK (json_valid(models)),
    max_budget            INTEGER,
    budget_duration       TEXT,
    budget_reset_at_ms    INTEGER,
    budget_began_ms       INTEGER NOT NULL,
    spend                 INTEGER NOT NULL,
    total_spend           INTEGER NOT NULL,
    rpm_limit             INTEGER,
    tpm_limit             INTEGER,
    max_parallel_requests INTEGER,
    expires_at_ms         INTEGER,
    blocked               INTEGER NOT NULL CHECK (blocked IN (0, 1)),
    user_id               TEXT,
    team_id               TEXT,
    organization_id       TEXT,
    tags                  TEXT    NOT NULL CHECK (json_valid(tags)),
    metadata              TEXT    NOT NULL CHECK (json_valid(metadata)),
    settings              TEXT    NOT NULL CHECK (json_valid(settings)),
    created_at_ms         INTEGER NOT NULL,
    updated_at_ms         INTEGER NOT NULL,
    created_by            TEXT,
    updated_by            TEXT,
    last_active_ms        INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX virtual_keys_by_user ON virtual_keys (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX virtual_keys_by_team ON virtual_keys (team_id) WHERE team_id IS NOT NULL;

-- What is asked for has a column; the whole record is JSON beside it, so that
-- a new field needs no new column.
CREATE TABLE spend_records (
    id          TEXT    NOT NULL PRIMARY KEY,
    request_id  TEXT, -- where a client gave its own; else `id` begins with it
    key_hash    BLOB,
    user_id     TEXT,
    team_id     TEXT,
    end_user    TEXT,
    model_group TEXT    NOT NULL,
    cost        INTEGER NOT NULL,
    start_ms    INTEGER NOT NULL,
    record      TEXT    NOT NULL
) STRICT;

CREATE INDEX spend_records_by_start ON spend_records (start_ms);
CREATE INDEX spend_records_by_key ON spend_records (key_hash, start_ms) WHERE key_hash IS NOT NULL;
CREATE INDEX spend_records_by_request ON spend_records (request_id) WHERE request_id IS NOT NULL;

CREATE TABLE spools (
    id      BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    segment INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Attempts that had begun in a spool file that is gone, and have not ended.
CREATE TABLE parked_attempts (
    spool  BLOB NOT NULL REFERENCES spools (id),
    id     TEXT NOT NULL,
    opened TEXT NOT NULL,
    PRIMARY KEY (spool, id)
) STRICT, WITHOUT ROWID;
