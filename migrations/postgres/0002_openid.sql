-- OpenID Connect, and access tokens whose text says nothing.

-- +goose Up

ALTER TABLE codes ADD COLUMN identity text COLLATE "C" NOT NULL DEFAULT ''; -- JSON: what the id_token is to say
ALTER TABLE access_tokens ADD COLUMN claims text COLLATE "C" NOT NULL DEFAULT ''; -- JSON: of an opaque token
