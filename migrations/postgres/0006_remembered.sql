-- Choices that users let go on: one for each user, client, grade of the client and resource.

-- +goose Up

CREATE TABLE remembered (
    id         text COLLATE "C" NOT NULL UNIQUE,
    user_id    text COLLATE "C" NOT NULL REFERENCES users (id),
    client_id  text COLLATE "C" NOT NULL,
    grade      text COLLATE "C" NOT NULL,
    resource   text COLLATE "C" NOT NULL REFERENCES resources (uri),
    choice     bytea            NOT NULL,
    created_at bigint           NOT NULL,
    expires_at bigint           NOT NULL,
    used_at    bigint           NOT NULL,
    uses       integer          NOT NULL,
    PRIMARY KEY (user_id, client_id, grade, resource)
);
CREATE INDEX remembered_client ON remembered (client_id);
CREATE INDEX remembered_resource ON remembered (resource);
CREATE INDEX remembered_expiry ON remembered (expires_at);
