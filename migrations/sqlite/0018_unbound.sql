-- What the console lists apart: tasks whose tokens work without a key.

-- +goose Up

CREATE INDEX tasks_unbound ON tasks (jkt) WHERE jkt = '' AND activated_at > 0;
