-- Clients that no admin added: those that publish their own metadata (CIMD) and those that
-- registered themselves (RFC 7591).

-- +goose Up

ALTER TABLE clients ADD COLUMN origin TEXT NOT NULL DEFAULT ''; -- '': an admin, 'cimd', 'dcr'
ALTER TABLE clients ADD COLUMN digest BLOB;                     -- of a registration that others may share
ALTER TABLE clients ADD COLUMN renewed_at INTEGER NOT NULL DEFAULT 0; -- last registered or fetched
ALTER TABLE clients ADD COLUMN changed_at INTEGER NOT NULL DEFAULT 0; -- metadata is this since then
CREATE UNIQUE INDEX clients_digest ON clients (digest) WHERE digest IS NOT NULL;
CREATE INDEX clients_strangers ON clients (renewed_at) WHERE origin <> '';

-- Former metadata under which tasks were lent.
CREATE TABLE client_versions (
    client_id TEXT    NOT NULL REFERENCES clients (id),
    since     INTEGER NOT NULL,
    metadata  TEXT    NOT NULL, -- JSON
    PRIMARY KEY (client_id, since)
) STRICT, WITHOUT ROWID;

CREATE INDEX requests_client ON requests (client_id);
