-- What each subject has spent, in one table: for ever (`window` is empty) and
-- in each window that somebody has set. A record is charged to every subject of
-- its own. Balances of keys move here; those of other subjects are added up.

CREATE TABLE accounts (
    subject_kind TEXT    NOT NULL,
    subject_id   BLOB    NOT NULL, -- a key's hash; else UTF-8; empty for the proxy
    unit         TEXT    NOT NULL,
    window       TEXT    NOT NULL,
    spent        INTEGER NOT NULL, -- in the open window
    total        INTEGER NOT NULL, -- since the account was opened
    began_ms     INTEGER NOT NULL,
    resets_at_ms INTEGER,
    ahead        INTEGER NOT NULL, -- spent while the clock was ahead: the next window begins with it
    PRIMARY KEY (subject_kind, subject_id, unit, window)
) STRICT, WITHOUT ROWID;

INSERT INTO accounts
SELECT 'key', hash, 'money', '',
       CASE WHEN budget_duration IS NULL THEN spend ELSE total_spend END,
       total_spend, 0, NULL, 0
FROM virtual_keys ORDER BY hash;

INSERT INTO accounts
SELECT 'key', hash, 'money', budget_duration, spend, spend, budget_began_ms, budget_reset_at_ms,
       budget_ahead
FROM virtual_keys WHERE budget_duration IS NOT NULL ORDER BY hash;

-- Dollars and the rest apart: SQLite refuses a sum that does not fit.
CREATE TEMP TABLE sums AS
SELECT user_id, team_id, organization_id, end_user, model_group, provider, deployment_id,
       credential_id, sum(cost / 1000000000) AS dollars, sum(cost % 1000000000) AS rest
FROM spend_records GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;

CREATE TEMP TABLE subjects (kind TEXT, id TEXT, dollars INTEGER, rest INTEGER);
INSERT INTO subjects SELECT 'proxy', '', sum(dollars), sum(rest) FROM sums HAVING count(*) > 0;
INSERT INTO subjects SELECT 'user', user_id, sum(dollars), sum(rest) FROM sums GROUP BY 2;
INSERT INTO subjects SELECT 'team', team_id, sum(dollars), sum(rest) FROM sums GROUP BY 2;
INSERT INTO subjects
SELECT 'organization', organization_id, sum(dollars), sum(rest) FROM sums GROUP BY 2;
INSERT INTO subjects SELECT 'end_user', end_user, sum(dollars), sum(rest) FROM sums GROUP BY 2;
INSERT INTO subjects SELECT 'model', model_group, sum(dollars), sum(rest) FROM sums GROUP BY 2;
INSERT INTO subjects SELECT 'provider', provider, sum(dollars), sum(rest) FROM sums GROUP BY 2;
INSERT INTO subjects
SELECT 'deployment', deployment_id, sum(dollars), sum(rest) FROM sums GROUP BY 2;
INSERT INTO subjects
SELECT 'credential', credential_id, sum(dollars), sum(rest) FROM sums GROUP BY 2;
INSERT INTO subjects
SELECT 'tag', tag, sum(cost / 1000000000), sum(cost % 1000000000)
FROM (SELECT DISTINCT spend_records.id AS record, json_each.value AS tag, cost
      FROM spend_records, json_each(spend_records.tags) WHERE tags IS NOT NULL)
GROUP BY 2;

INSERT INTO accounts
SELECT kind, CAST(id AS BLOB), 'money', '', total, total, 0, NULL, 0
FROM (SELECT kind, id,
             CASE WHEN dollars + rest / 1000000000 >= 9223372036 THEN 9223372036854775807
                  ELSE dollars * 1000000000 + rest END AS total
      FROM subjects WHERE id IS NOT NULL AND (id <> '' OR kind = 'proxy'))
ORDER BY kind, 2;

DROP TABLE temp.subjects;
DROP TABLE temp.sums;

CREATE INDEX accounts_by_window ON accounts (began_ms) WHERE resets_at_ms IS NOT NULL;

CREATE TABLE keys_without_balance (
    hash                  BLOB    NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    name                  TEXT    NOT NULL,
    alias                 TEXT    UNIQUE,
    models                TEXT    NOT NULL CHECK (json_valid(models)),
    max_budget            INTEGER,
    budget_duration       TEXT,
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

INSERT INTO keys_without_balance
SELECT hash, name, alias, models, max_budget, budget_duration, rpm_limit, tpm_limit,
       max_parallel_requests, expires_at_ms, blocked, user_id, team_id, organization_id, tags,
       metadata, settings, created_at_ms, updated_at_ms, created_by, updated_by, last_active_ms
FROM virtual_keys ORDER BY hash;

DROP TABLE virtual_keys;
ALTER TABLE keys_without_balance RENAME TO virtual_keys;

CREATE INDEX virtual_keys_by_user ON virtual_keys (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX virtual_keys_by_team ON virtual_keys (team_id) WHERE team_id IS NOT NULL;
