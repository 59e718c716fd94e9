-- Who, having a console role, may also read the values of arguments. An earlier version knows nothing of it:
-- what it leaves behind beside the role 'user' counts for nothing, and goes when that role changes.

-- +goose Up

ALTER TABLE users ADD COLUMN read_args boolean NOT NULL DEFAULT false;
