-- What the console's ledger page finds by user.

-- +goose Up

CREATE INDEX ledger_user ON ledger (user) WHERE user <> '';
