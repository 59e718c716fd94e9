-- Choices that users let go on: one for each user, client, grade of the client and resource.

-- +goose Up

CREATE TABLE remembered (
    id         TEXT    NOT NULL UNIQUE,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    client_id  TEXT    NOT NULL,
    grade      TEXT    NOT NULL,
    resource   TEXT    NOT NULL REFERENCES resources (uri),
    choice     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    uses       INTEGER NOT NULL,
    PRIMARY KEY (user_id, client_id, grade, resource)
) STRICT;
CREATE INDEX remembered_client ON remembered (client_id);
CREATE INDEX remembered_resource ON remembered (resource);
CREATE INDEX remembered_expiry ON remembered (expires_at);
