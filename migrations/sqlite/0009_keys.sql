-- The life of keys, the key that signed a token, restorations from a backup, and what is forgotten.

-- +goose Up

ALTER TABLE keys ADD COLUMN active_at  INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN retired_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN killed_at  INTEGER NOT NULL DEFAULT 0;
UPDATE keys SET active_at = created_at;
UPDATE keys SET retired_at = (SELECT MAX(created_at) FROM keys k WHERE k.use = keys.use) WHERE state = 'retired';
CREATE UNIQUE INDEX keys_next ON keys (use) WHERE state = 'next';

ALTER TABLE access_tokens ADD COLUMN kid TEXT NOT NULL DEFAULT ''; -- '': not signed

CREATE TABLE epochs (
    n    INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    size INTEGER NOT NULL -- records of the ledger
) STRICT;

ALTER TABLE tasks ADD COLUMN pruned INTEGER NOT NULL DEFAULT 0; -- 1: what belonged to it is forgotten
CREATE INDEX tasks_prunable ON tasks (ended_at) WHERE ended_at > 0 AND pruned = 0;
CREATE INDEX codes_task ON codes (task_id);
CREATE INDEX refresh_tokens_task ON refresh_tokens (task_id);
CREATE INDEX feed_age ON feed (at);
