-- +goose Up

CREATE INDEX tasks_history ON tasks (user_id, client_id, created_at);
