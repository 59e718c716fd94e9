-- Kill switches.

-- +goose Up

CREATE TABLE switches (
	id TEXT PRIMARY KEY,
	level TEXT NOT NULL,
	subject TEXT NOT NULL,
	tool TEXT NOT NULL,
	state TEXT NOT NULL,
	actor TEXT NOT NULL,
	person TEXT NOT NULL,
	confirmer TEXT NOT NULL,
	reason TEXT NOT NULL,
	tasks TEXT NOT NULL, -- JSON
	created_at INTEGER NOT NULL,
	confirm_by INTEGER NOT NULL,
	thrown_at INTEGER NOT NULL,
	until INTEGER NOT NULL, -- 0: until it is lifted
	lifted_at INTEGER NOT NULL
) STRICT;
CREATE INDEX switches_state ON switches (state);
