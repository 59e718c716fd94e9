-- Where a browser takes push messages, and which session at a provider its own belongs to.

-- +goose Up

ALTER TABLE sessions ADD COLUMN push bytea NOT NULL DEFAULT ''; -- sealed
ALTER TABLE sessions ADD COLUMN upstream text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN sid text COLLATE "C" NOT NULL DEFAULT '';
CREATE INDEX sessions_upstream ON sessions (upstream, sid) WHERE upstream <> '';
