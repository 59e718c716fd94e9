-- When a replica of a Guard last told of executions: one that never comes back is forgotten.

-- +goose Up

ALTER TABLE guard_streams ADD COLUMN used_at INTEGER NOT NULL DEFAULT 0;
UPDATE guard_streams SET used_at = unixepoch() * 1000000;

CREATE INDEX guard_streams_used ON guard_streams (used_at);
