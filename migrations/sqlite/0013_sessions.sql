-- Where a browser takes push messages, and which session at a provider its own belongs to.

-- +goose Up

ALTER TABLE sessions ADD COLUMN push BLOB NOT NULL DEFAULT x''; -- sealed
ALTER TABLE sessions ADD COLUMN upstream TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN sid TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_upstream ON sessions (upstream, sid) WHERE upstream <> '';
