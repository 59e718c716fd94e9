-- What users sign in with besides a password, and what they know of their own sessions.

-- +goose Up

ALTER TABLE sessions ADD COLUMN method TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN browser TEXT NOT NULL DEFAULT '';
CREATE INDEX sessions_of ON sessions (user_id, auth_time);
DROP INDEX sessions_user;

CREATE TABLE passkeys (
    id         BLOB    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    name       TEXT    NOT NULL,
    credential BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX passkeys_user ON passkeys (user_id, created_at);

CREATE TABLE second_factors (
    user_id    TEXT    NOT NULL PRIMARY KEY REFERENCES users (id),
    sealed     BLOB    NOT NULL,
    last_step  INTEGER NOT NULL, -- RFC 6238 §5.2: a step is accepted once
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id),
    code    BLOB NOT NULL,
    PRIMARY KEY (user_id, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE identities (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX identities_user ON identities (user_id);

-- The rows of roles that an upstream provider's groups stand for; those of admins are not here.
CREATE TABLE upstream_roles (
    user_id  TEXT NOT NULL REFERENCES users (id),
    resource TEXT NOT NULL REFERENCES resources (uri),
    role     TEXT NOT NULL,
    PRIMARY KEY (user_id, resource, role)
) STRICT, WITHOUT ROWID;
