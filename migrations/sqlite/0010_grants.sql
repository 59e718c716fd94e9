-- What the grants beyond the authorization code need: who acts in a task, credentials that were spent,
-- device codes, clients that act for themselves, and what a resource may reach behind itself.

-- +goose Up

-- Who acts for the user, newest first (RFC 8693 §4.1), as JSON; '[]': the client itself.
ALTER TABLE tasks ADD COLUMN delegates TEXT NOT NULL DEFAULT '[]';

-- Assertions that were used, as long as they could be used again.
CREATE TABLE spent (
    id         BLOB    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_expiry ON spent (expires_at);

-- Device codes (RFC 8628). One that was allowed is a code of the same id.
CREATE TABLE devices (
    id         BLOB    NOT NULL PRIMARY KEY,
    user_code  BLOB    NOT NULL UNIQUE,
    client_id  TEXT    NOT NULL REFERENCES clients (id),
    params     BLOB    NOT NULL,
    jkt        TEXT    NOT NULL,
    denied     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX devices_expiry ON devices (expires_at);

-- The device code that a request decides about; NULL: none.
ALTER TABLE requests ADD COLUMN device BLOB;

-- 1: a client that acts for itself, under its own id (RFC 9068 §5).
ALTER TABLE users ADD COLUMN service INTEGER NOT NULL DEFAULT 0;

-- What a resource may get tokens for on behalf of its callers.
CREATE TABLE backends (
    resource TEXT NOT NULL REFERENCES resources (uri),
    backend  TEXT NOT NULL REFERENCES resources (uri),
    scopes   TEXT NOT NULL, -- JSON
    PRIMARY KEY (resource, backend)
) STRICT, WITHOUT ROWID;
