-- Which HTTP request brought a record about. What an earlier version chains meanwhile tells of none.

-- +goose Up

ALTER TABLE ledger_inbox ADD COLUMN request text COLLATE "C" NOT NULL DEFAULT '';
ALTER TABLE ledger ADD COLUMN request text COLLATE "C" NOT NULL DEFAULT '';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION ledger_erases() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.payload IS NOT NULL OR NEW.salt IS NOT NULL OR (NEW.seq, NEW.hash, NEW.instance, NEW.n, NEW.at, NEW.kind, NEW.task,
        NEW."user", NEW.client, NEW.agent, NEW.resource, NEW.jti, NEW.execution, NEW.request, NEW.digest) IS DISTINCT FROM
        (OLD.seq, OLD.hash, OLD.instance, OLD.n, OLD.at, OLD.kind, OLD.task,
        OLD."user", OLD.client, OLD.agent, OLD.resource, OLD.jti, OLD.execution, OLD.request, OLD.digest) THEN
        RAISE EXCEPTION 'ledger: a record cannot be changed, its payload can only be erased';
    END IF;
    NEW.refused := false;
    RETURN NEW;
END $$;
-- +goose StatementEnd
