-- A spend record as columns, for people and for SQL. Its id begins with its
-- call's time (16 bytes of UUID, then 2 of the attempt), so that order and
-- ranges of time need no index of their own.

CREATE TABLE spend (
    id              BLOB    NOT NULL UNIQUE CHECK (length(id) = 18),
    request_id      TEXT, -- where it is not the call's id
    call_type       TEXT    NOT NULL,
    ending          TEXT    NOT NULL,
    status          INTEGER NOT NULL,
    error_class     TEXT,
    cost            INTEGER NOT NULL,
    cost_source     TEXT    NOT NULL,
    price_version   TEXT,
    input           INTEGER NOT NULL,
    output          INTEGER NOT NULL,
    cache_read      INTEGER NOT NULL,
    cache_write_5m  INTEGER NOT NULL,
    cache_write_1h  INTEGER NOT NULL,
    reasoning       INTEGER NOT NULL,
    input_audio     INTEGER NOT NULL,
    output_audio    INTEGER NOT NULL,
    searches        INTEGER NOT NULL,
    model_group     TEXT    NOT NULL,
    upstream_model  TEXT    NOT NULL,
    deployment_id   TEXT    NOT NULL,
    provider        TEXT    NOT NULL,
    api_base        TEXT    NOT NULL,
    credential_id   TEXT,
    key_hash        BLOB,
    key_alias       TEXT,
    user_id         TEXT,
    end_user        TEXT,
    team_id         TEXT,
    organization_id TEXT,
    tags            TEXT, -- a JSON array, where there are any
    reserved_ms     INTEGER NOT NULL,
    start_ms        INTEGER NOT NULL,
    first_byte_ms   INTEGER,
    end_ms          INTEGER NOT NULL,
    requester_ip    TEXT,
    session_id      TEXT,
    cache_hit       INTEGER NOT NULL
) STRICT;

INSERT INTO spend
SELECT unhex(replace(substr(id, 1, 36), '-', '') || printf('%04x', substr(id, 38))),
       CASE WHEN record ->> 'request_id' = substr(id, 1, 36) THEN NULL
            ELSE record ->> 'request_id' END,
       coalesce(record ->> 'call_type', ''),
       coalesce(record ->> 'ending', 'crashed'),
       coalesce(record ->> 'status', 0),
       record ->> 'error_class',
       cost,
       coalesce(record ->> 'cost_source', 'none'),
       record ->> 'price_version',
       coalesce(record ->> '$.usage.input', 0),
       coalesce(record ->> '$.usage.output', 0),
       coalesce(record ->> '$.usage.cache_read', 0),
       coalesce(record ->> '$.usage.cache_write_5m', 0),
       coalesce(record ->> '$.usage.cache_write_1h', 0),
       coalesce(record ->> '$.usage.reasoning', 0),
       coalesce(record ->> '$.usage.input_audio', 0),
       coalesce(record ->> '$.usage.output_audio', 0),
       coalesce(record ->> '$.usage.searches', 0),
       model_group,
       coalesce(record ->> 'upstream_model', ''),
       coalesce(record ->> 'deployment_id', ''),
       coalesce(record ->> 'provider', ''),
       coalesce(record ->> 'api_base', ''),
       record ->> 'credential_id',
       key_hash,
       record ->> 'key_alias',
       user_id,
       end_user,
       team_id,
       record ->> 'organization_id',
       record -> 'tags',
       coalesce(record ->> 'reserved_ms', 0),
       start_ms,
       record ->> 'first_byte_ms',
       coalesce(record ->> 'end_ms', 0),
       record ->> 'requester_ip',
       record ->> 'session_id',
       coalesce(record ->> 'cache_hit', 0)
FROM spend_records ORDER BY id;

DROP TABLE spend_records;
ALTER TABLE spend RENAME TO spend_records;

CREATE INDEX spend_records_by_key ON spend_records (key_hash, id) WHERE key_hash IS NOT NULL;
CREATE INDEX spend_records_by_request ON spend_records (request_id) WHERE request_id IS NOT NULL;
