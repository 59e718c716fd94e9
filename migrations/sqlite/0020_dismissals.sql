-- Findings of which a person has said that they are no problem. Their records stay in the ledger as they are.

-- +goose Up

CREATE TABLE dismissals (
    finding INTEGER PRIMARY KEY, -- its place in the chain
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,
    person  TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;
