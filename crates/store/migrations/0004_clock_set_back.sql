-- Spent while the clock was ahead: the key's next window begins with it.

ALTER TABLE virtual_keys ADD COLUMN budget_ahead INTEGER NOT NULL DEFAULT 0;
