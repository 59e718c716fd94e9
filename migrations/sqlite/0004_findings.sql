-- What the console lists: the records that a person should look at, newest first.

-- +goose Up

CREATE INDEX ledger_findings ON ledger (seq)
WHERE (kind >= 'finding.' AND kind < 'finding/' OR kind = 'rule.fired' OR kind = 'execution.disputed');
