-- What tells a task's user that a call of it is missing from the ledger.

-- +goose Up

CREATE INDEX ledger_unrecorded ON ledger (task) WHERE kind = 'finding.execution_unrecorded' AND task <> '';
