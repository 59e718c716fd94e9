-- Findings of which a person has said that they are no problem. Their records stay in the ledger as they are.

-- +goose Up

CREATE TABLE dismissals (
    finding bigint PRIMARY KEY, -- its place in the chain
    at      bigint NOT NULL,
    by      text COLLATE "C" NOT NULL,
    person  text COLLATE "C" NOT NULL,
    reason  text COLLATE "C" NOT NULL
);
