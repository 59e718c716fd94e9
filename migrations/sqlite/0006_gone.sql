-- +goose Up

-- An approved tool that the Guard no longer offers.
ALTER TABLE tools ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
