-- Which HTTP request brought a record about.

-- +goose Up

ALTER TABLE ledger ADD COLUMN request TEXT NOT NULL DEFAULT '';

DROP TRIGGER ledger_no_update;

-- +goose StatementBegin
CREATE TRIGGER ledger_no_update
BEFORE UPDATE OF id, instance, n, at, kind, task, user, client, agent, resource, jti, execution, request, digest ON ledger
BEGIN SELECT RAISE(ABORT, 'ledger: a record cannot be changed'); END;
-- +goose StatementEnd
