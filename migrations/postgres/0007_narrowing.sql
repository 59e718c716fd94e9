-- Tasks that their users narrow. Programs that do not know of it go on beside this schema: they read
-- what is in force, but may still sign what they had read just before.

-- +goose Up

ALTER TABLE tasks ADD COLUMN generation integer NOT NULL DEFAULT 0; -- how often it, or one above it, was narrowed
