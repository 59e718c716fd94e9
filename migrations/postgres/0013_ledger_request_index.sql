-- What is found by the name that an answer gave its request.

-- +goose Up

CREATE INDEX ledger_request ON ledger (request, seq) WHERE request <> '';
