-- Several replicas of one Guard.

-- +goose Up

CREATE TABLE guard_listeners (
    resource TEXT    NOT NULL REFERENCES resources (uri),
    replica  TEXT    NOT NULL,
    until    INTEGER NOT NULL, -- it hears the feed, or may act on what it has heard
    ack_seq  INTEGER NOT NULL,
    PRIMARY KEY (resource, replica)
) STRICT, WITHOUT ROWID;

CREATE TABLE guard_streams (
    guard          TEXT    NOT NULL,
    replica        TEXT    NOT NULL, -- never empty: that one's number is the guard's own
    next_execution INTEGER NOT NULL,
    PRIMARY KEY (guard, replica)
) STRICT, WITHOUT ROWID;
