-- When a replica of a Guard last told of executions: one that never comes back is forgotten.

-- +goose Up

-- What the version before this one adds counts from now.
ALTER TABLE guard_streams ADD COLUMN used_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;

CREATE INDEX guard_streams_used ON guard_streams (used_at);
