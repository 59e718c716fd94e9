-- Kill switches.

-- +goose Up

CREATE TABLE switches (
	n bigint GENERATED ALWAYS AS IDENTITY,
	id text COLLATE "C" PRIMARY KEY,
	level text COLLATE "C" NOT NULL,
	subject text COLLATE "C" NOT NULL,
	tool text COLLATE "C" NOT NULL,
	state text COLLATE "C" NOT NULL,
	actor text COLLATE "C" NOT NULL,
	person text COLLATE "C" NOT NULL,
	confirmer text COLLATE "C" NOT NULL,
	reason text COLLATE "C" NOT NULL,
	tasks text COLLATE "C" NOT NULL, -- JSON
	created_at bigint NOT NULL,
	confirm_by bigint NOT NULL,
	thrown_at bigint NOT NULL,
	until bigint NOT NULL, -- 0: until it is lifted
	lifted_at bigint NOT NULL
);
CREATE INDEX switches_state ON switches (state);
