-- Which key took the place of one that was regenerated: what the old one still
-- has in the spool is charged to the new one.

CREATE TABLE key_successors (
    hash      BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    successor BLOB NOT NULL CHECK (length(successor) = 32)
) STRICT, WITHOUT ROWID;
