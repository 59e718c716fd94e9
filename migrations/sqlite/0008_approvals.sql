-- Approval of one exact call, and what the consent page said about the key.

-- +goose Up

ALTER TABLE codes ADD COLUMN key_bound INTEGER NOT NULL DEFAULT 0; -- 1: the user was told that the token is bound to a key

CREATE TABLE approvals (
    id         TEXT    NOT NULL PRIMARY KEY,
    task_id    TEXT    NOT NULL REFERENCES tasks (id),
    user_id    TEXT    NOT NULL REFERENCES users (id),
    resource   TEXT    NOT NULL,
    tool       TEXT    NOT NULL,
    definition TEXT    NOT NULL,
    digest     TEXT    NOT NULL, -- of the arguments in RFC 8785 form
    arguments  BLOB,             -- sealed; NULL: nobody has to decide on them any more
    state      TEXT    NOT NULL,
    execution  TEXT    NOT NULL, -- that asked, then that which spent it
    asked_at   INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CHECK ((state = 'asked') = (arguments IS NOT NULL))
) STRICT;
CREATE INDEX approvals_task ON approvals (task_id, asked_at);
CREATE INDEX approvals_user ON approvals (user_id) WHERE state = 'asked';
CREATE INDEX approvals_expiry ON approvals (expires_at);
CREATE UNIQUE INDEX approvals_live ON approvals (task_id, resource, tool, definition, digest) WHERE state IN ('asked', 'allowed');
