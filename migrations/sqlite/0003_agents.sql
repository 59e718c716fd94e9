-- What the agents page tells: how many calls a task made, and when its end was in force.

-- +goose Up

ALTER TABLE feed ADD COLUMN acked_at INTEGER NOT NULL DEFAULT 0; -- the Guard applied it; 0: not yet
CREATE INDEX feed_ended ON feed (task_id) WHERE kind = 'task.ended';
CREATE INDEX access_tokens_task ON access_tokens (task_id, resource, expires_at);
CREATE INDEX ledger_calls ON ledger (task, kind, (payload ->> '$.decision')) WHERE kind = 'execution.decided' AND task <> '';
