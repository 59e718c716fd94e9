-- Tasks that their users narrow.

-- +goose Up

ALTER TABLE tasks ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; -- how often it, or one above it, was narrowed
