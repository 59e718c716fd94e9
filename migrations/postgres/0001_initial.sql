-- The first schema. Times are microseconds since 1970 in UTC, 0 for "never"; secrets are SHA-256
-- hashes; lists and structures that no query looks into are JSON. Text compares by its bytes.

-- +goose Up

-- The oldest program that may still work beside this schema: the number of the newest migration that
-- it knows. Each migration keeps the program before it working, and says so here.
CREATE TABLE schema_serves (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    oldest bigint  NOT NULL
);
INSERT INTO schema_serves (oldest) VALUES (1);

-- Who numbers ledger records: one per connection that writes, held by an advisory lock.
CREATE TABLE instances (
    id         integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    name       text COLLATE "C" NOT NULL UNIQUE,
    created_at bigint  NOT NULL,
    pinged_at  bigint  NOT NULL DEFAULT 0,
    last_n     bigint  NOT NULL DEFAULT 0 -- newest chained record
) WITH (fillfactor = 50);

CREATE TABLE users (
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    email         text COLLATE "C" NOT NULL,
    email_key     text COLLATE "C" NOT NULL UNIQUE, -- email in lower case
    name          text COLLATE "C" NOT NULL,
    password_hash text COLLATE "C" NOT NULL,
    console_role  text COLLATE "C" NOT NULL,
    disabled      boolean NOT NULL,
    created_at    bigint  NOT NULL,
    service       boolean NOT NULL DEFAULT false -- a client that acts for itself, under its own id (RFC 9068 §5)
);
CREATE INDEX users_admins ON users (id) WHERE console_role = 'admin';

CREATE TABLE sessions (
    id         bytea   NOT NULL PRIMARY KEY,
    user_id    text COLLATE "C" NOT NULL REFERENCES users (id),
    auth_time  bigint  NOT NULL,
    expires_at bigint  NOT NULL,
    method     text COLLATE "C" NOT NULL,
    browser    text COLLATE "C" NOT NULL
);
CREATE INDEX sessions_of ON sessions (user_id, auth_time);
CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE TABLE passkeys (
    id         bytea   NOT NULL PRIMARY KEY,
    user_id    text COLLATE "C" NOT NULL REFERENCES users (id),
    name       text COLLATE "C" NOT NULL,
    credential bytea   NOT NULL,
    created_at bigint  NOT NULL,
    used_at    bigint  NOT NULL
);
CREATE INDEX passkeys_user ON passkeys (user_id, created_at);

CREATE TABLE second_factors (
    user_id    text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES users (id),
    sealed     bytea   NOT NULL,
    last_step  bigint  NOT NULL, -- RFC 6238 §5.2: a step is accepted once
    created_at bigint  NOT NULL
);

CREATE TABLE recovery_codes (
    user_id text COLLATE "C" NOT NULL REFERENCES users (id),
    code    bytea NOT NULL,
    PRIMARY KEY (user_id, code)
);

CREATE TABLE identities (
    issuer  text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL REFERENCES users (id),
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX identities_user ON identities (user_id);

CREATE TABLE clients (
    id          text COLLATE "C" NOT NULL PRIMARY KEY,
    metadata    text COLLATE "C" NOT NULL, -- JSON, RFC 7591 §2
    policy      text COLLATE "C" NOT NULL, -- JSON
    secret_hash bytea,
    disabled    boolean NOT NULL,
    created_at  bigint  NOT NULL,
    origin      text COLLATE "C" NOT NULL, -- '': an admin, 'cimd', 'dcr'
    digest      bytea,            -- of a registration that others may share
    renewed_at  bigint  NOT NULL, -- last registered or fetched
    changed_at  bigint  NOT NULL  -- metadata is this since then
);
CREATE UNIQUE INDEX clients_digest ON clients (digest) WHERE digest IS NOT NULL;
CREATE INDEX clients_strangers ON clients (renewed_at) WHERE origin <> '';

-- Former metadata under which tasks were lent.
CREATE TABLE client_versions (
    client_id text COLLATE "C" NOT NULL REFERENCES clients (id),
    since     bigint NOT NULL,
    metadata  text COLLATE "C" NOT NULL, -- JSON
    PRIMARY KEY (client_id, since)
);

CREATE TABLE resources (
    uri            text COLLATE "C" NOT NULL PRIMARY KEY,
    name           text COLLATE "C" NOT NULL,
    policy         bytea   NOT NULL,
    policy_version text COLLATE "C" NOT NULL,
    enrol_hash     bytea   UNIQUE,
    enrol_expires  bigint  NOT NULL,
    disabled       boolean NOT NULL,
    created_at     bigint  NOT NULL
);

-- One row per resource, enrolled or not: what changes often is apart from what is large.
CREATE TABLE guards (
    resource       text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES resources (uri),
    id             text COLLATE "C" UNIQUE, -- NULL: not enrolled
    key            text COLLATE "C" NOT NULL,
    next_execution bigint  NOT NULL,
    ack_seq        bigint  NOT NULL,
    ack_at         bigint  NOT NULL
) WITH (fillfactor = 50);

-- Several replicas of one Guard.
CREATE TABLE guard_listeners (
    resource text COLLATE "C"    NOT NULL REFERENCES resources (uri),
    replica  text COLLATE "C"    NOT NULL,
    until    bigint NOT NULL, -- it hears the feed, or may act on what it has heard
    ack_seq  bigint NOT NULL,
    PRIMARY KEY (resource, replica)
) WITH (fillfactor = 50);

CREATE TABLE guard_streams (
    guard          text COLLATE "C"    NOT NULL,
    replica        text COLLATE "C"    NOT NULL, -- never empty: that one's number is the guard's own
    next_execution bigint NOT NULL,
    PRIMARY KEY (guard, replica)
) WITH (fillfactor = 50);

-- What a resource may get tokens for on behalf of its callers.
CREATE TABLE backends (
    resource text COLLATE "C" NOT NULL REFERENCES resources (uri),
    backend  text COLLATE "C" NOT NULL REFERENCES resources (uri),
    scopes   text COLLATE "C" NOT NULL, -- JSON
    PRIMARY KEY (resource, backend)
);

CREATE TABLE tools (
    resource   text COLLATE "C" NOT NULL REFERENCES resources (uri),
    name       text COLLATE "C" NOT NULL,
    definition bytea   NOT NULL,
    hash       text COLLATE "C" NOT NULL, -- '': never approved
    live       bytea   NOT NULL,
    live_hash  text COLLATE "C" NOT NULL, -- '': the live definition is the approved one
    default_on boolean NOT NULL,
    gone       boolean NOT NULL DEFAULT false, -- an approved tool that the Guard no longer offers
    PRIMARY KEY (resource, name)
);

CREATE TABLE roles (
    user_id  text COLLATE "C" NOT NULL REFERENCES users (id),
    resource text COLLATE "C" NOT NULL REFERENCES resources (uri),
    role     text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, resource, role)
);

-- The rows of roles that an upstream provider's groups stand for; those of admins are not here.
CREATE TABLE upstream_roles (
    user_id  text COLLATE "C" NOT NULL REFERENCES users (id),
    resource text COLLATE "C" NOT NULL REFERENCES resources (uri),
    role     text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, resource, role)
);

CREATE TABLE keys (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    n          bigint  NOT NULL GENERATED ALWAYS AS IDENTITY,
    use        text COLLATE "C" NOT NULL,
    algorithm  text COLLATE "C" NOT NULL,
    sealed     bytea   NOT NULL,
    state      text COLLATE "C" NOT NULL,
    created_at bigint  NOT NULL,
    active_at  bigint  NOT NULL,
    retired_at bigint  NOT NULL,
    killed_at  bigint  NOT NULL
);
CREATE UNIQUE INDEX keys_active ON keys (use) WHERE state = 'active';
CREATE UNIQUE INDEX keys_next ON keys (use) WHERE state = 'next';

-- Restorations from a backup.
CREATE TABLE epochs (
    n    bigint PRIMARY KEY,
    at   bigint NOT NULL,
    size bigint NOT NULL -- records of the ledger
);

-- What is written with every token has no foreign keys: its verbs lock the task, which is never deleted.
CREATE TABLE requests (
    id         bytea   NOT NULL PRIMARY KEY,
    client_id  text COLLATE "C" NOT NULL,
    params     bytea   NOT NULL,
    jkt        text COLLATE "C" NOT NULL,
    session    bytea,            -- NULL: not shown yet
    decided    boolean NOT NULL,
    created_at bigint  NOT NULL,
    expires_at bigint  NOT NULL,
    device     bytea             -- the device code that it decides about; NULL: none
) WITH (fillfactor = 80);
CREATE INDEX requests_expiry ON requests (expires_at);
CREATE INDEX requests_client ON requests (client_id);

-- Device codes (RFC 8628). One that was allowed is a code of the same id.
CREATE TABLE devices (
    id         bytea   NOT NULL PRIMARY KEY,
    user_code  bytea   NOT NULL UNIQUE,
    client_id  text COLLATE "C"    NOT NULL,
    params     bytea   NOT NULL,
    jkt        text COLLATE "C"    NOT NULL,
    denied     boolean NOT NULL,
    created_at bigint  NOT NULL,
    expires_at bigint  NOT NULL
);
CREATE INDEX devices_expiry ON devices (expires_at);

-- Assertions that were used, as long as they could be used again.
CREATE TABLE spent (
    id         bytea  NOT NULL PRIMARY KEY,
    expires_at bigint NOT NULL
);
CREATE INDEX spent_expiry ON spent (expires_at);

CREATE TABLE tasks (
    id            text COLLATE "C" NOT NULL PRIMARY KEY,
    n             bigint  NOT NULL GENERATED ALWAYS AS IDENTITY,
    root          text COLLATE "C" NOT NULL, -- top of its tree; its row is the lock of the whole tree
    parent        text COLLATE "C" NOT NULL,
    user_id       text COLLATE "C" NOT NULL REFERENCES users (id),
    client_id     text COLLATE "C" NOT NULL REFERENCES clients (id),
    jkt           text COLLATE "C" NOT NULL,
    purpose       text COLLATE "C" NOT NULL,
    state         text COLLATE "C" NOT NULL,
    suspended_by  text COLLATE "C" NOT NULL,
    reason        text COLLATE "C" NOT NULL,
    max_calls     bigint  NOT NULL,
    calls_used    bigint  NOT NULL,
    created_at    bigint  NOT NULL,
    activated_at  bigint  NOT NULL,
    seen_at       bigint  NOT NULL,
    suspended_at  bigint  NOT NULL,
    ends_at       bigint  NOT NULL,
    ended_at      bigint  NOT NULL, -- 0: live
    pending_until bigint  NOT NULL, -- when its code expires
    idle_at       bigint  NOT NULL, -- when to look whether it is idle: seen_at changes often, and has no index
    delegates     text COLLATE "C" NOT NULL, -- who acts for the user, newest first (RFC 8693 §4.1), as JSON; '[]': the client itself
    pruned        boolean NOT NULL DEFAULT false, -- what belonged to it is forgotten
    ledger_from   bigint  NOT NULL, -- length of the chain when the task was made: its records come later
    CHECK ((ended_at = 0) = (state IN ('pending', 'active', 'suspended'))),
    CHECK ((suspended_by <> '') = (state = 'suspended'))
) WITH (fillfactor = 70);
CREATE INDEX tasks_n ON tasks (n);
CREATE INDEX tasks_parent ON tasks (parent) WHERE parent <> '';
CREATE INDEX tasks_user ON tasks (user_id, n);
CREATE INDEX tasks_client ON tasks (client_id, n);
CREATE INDEX tasks_history ON tasks (user_id, client_id, created_at);
CREATE INDEX tasks_live ON tasks (n) WHERE ended_at = 0;
CREATE INDEX tasks_user_live ON tasks (user_id, n) WHERE ended_at = 0;
CREATE INDEX tasks_client_live ON tasks (client_id, n) WHERE ended_at = 0;
CREATE INDEX tasks_deadline ON tasks (ends_at) WHERE ended_at = 0;
CREATE INDEX tasks_pending ON tasks (pending_until) WHERE state = 'pending';
CREATE INDEX tasks_prunable ON tasks (ended_at) WHERE ended_at > 0 AND NOT pruned;
CREATE INDEX tasks_idle ON tasks (idle_at) WHERE state = 'active';

CREATE TABLE grants (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    n          bigint  NOT NULL GENERATED ALWAYS AS IDENTITY,
    task_id    text COLLATE "C" NOT NULL REFERENCES tasks (id),
    resource   text COLLATE "C" NOT NULL REFERENCES resources (uri),
    scopes     text COLLATE "C" NOT NULL, -- JSON
    details    bytea   NOT NULL,
    hash       text COLLATE "C" NOT NULL,
    created_at bigint  NOT NULL,
    ended_at   bigint  NOT NULL, -- 0: in force
    code       bytea             -- widens a running task once this code is redeemed; NULL: in force
);
CREATE INDEX grants_task ON grants (task_id, resource);
CREATE INDEX grants_hash ON grants (resource, hash, n);

CREATE TABLE codes (
    id            bytea   NOT NULL PRIMARY KEY,
    task_id       text COLLATE "C" NOT NULL,
    client_id     text COLLATE "C" NOT NULL,
    redirect_uri  text COLLATE "C" NOT NULL,
    redirect_sent boolean NOT NULL,
    challenge     text COLLATE "C" NOT NULL,
    jkt           text COLLATE "C" NOT NULL,
    created_at    bigint  NOT NULL,
    expires_at    bigint  NOT NULL,
    spent         boolean NOT NULL,
    extends       boolean NOT NULL, -- its task was running when the code was made
    key_bound     boolean NOT NULL DEFAULT false -- the user was told that the token is bound to a key
) WITH (fillfactor = 80);
CREATE INDEX codes_task ON codes (task_id);

CREATE TABLE refresh_tokens (
    id         bytea   NOT NULL PRIMARY KEY,
    task_id    text COLLATE "C" NOT NULL,
    client_id  text COLLATE "C" NOT NULL,
    jkt        text COLLATE "C" NOT NULL,
    scopes     text COLLATE "C" NOT NULL, -- JSON
    resource   text COLLATE "C" NOT NULL,
    expires_at bigint  NOT NULL,
    created_at bigint  NOT NULL,
    spent_at   bigint  NOT NULL, -- 0: live
    successor  bytea,            -- sealed secret of the next one
    replays    integer NOT NULL  -- how often the successor was given again
) WITH (fillfactor = 80);
CREATE INDEX refresh_tokens_task ON refresh_tokens (task_id);

CREATE TABLE access_tokens (
    jti        text COLLATE "C" NOT NULL PRIMARY KEY,
    task_id    text COLLATE "C" NOT NULL,
    resource   text COLLATE "C" NOT NULL,
    client_id  text COLLATE "C" NOT NULL,
    jkt        text COLLATE "C" NOT NULL,
    issued_at  bigint  NOT NULL,
    expires_at bigint  NOT NULL,
    revoked    boolean NOT NULL,
    kid        text COLLATE "C" NOT NULL -- '': not signed
);
CREATE INDEX access_tokens_task ON access_tokens (task_id, resource, expires_at);

CREATE TABLE tool_calls (
    task_id  text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    tool     text COLLATE "C" NOT NULL,
    used     bigint NOT NULL,
    PRIMARY KEY (task_id, resource, tool)
) WITH (fillfactor = 70);

CREATE TABLE reservations (
    task_id   text COLLATE "C" NOT NULL,
    execution text COLLATE "C" NOT NULL,
    resource  text COLLATE "C" NOT NULL,
    tool      text COLLATE "C" NOT NULL,
    PRIMARY KEY (task_id, execution, resource, tool)
);

CREATE TABLE approvals (
    id         text COLLATE "C" NOT NULL PRIMARY KEY,
    n          bigint  NOT NULL GENERATED ALWAYS AS IDENTITY,
    task_id    text COLLATE "C" NOT NULL,
    user_id    text COLLATE "C" NOT NULL,
    resource   text COLLATE "C" NOT NULL,
    tool       text COLLATE "C" NOT NULL,
    definition text COLLATE "C" NOT NULL,
    digest     text COLLATE "C" NOT NULL, -- of the arguments in RFC 8785 form
    arguments  bytea,            -- sealed; NULL: nobody has to decide on them any more
    state      text COLLATE "C" NOT NULL,
    execution  text COLLATE "C" NOT NULL, -- that asked, then that which spent it
    asked_at   bigint  NOT NULL,
    decided_at bigint  NOT NULL,
    expires_at bigint  NOT NULL,
    CHECK ((state = 'asked') = (arguments IS NOT NULL))
);
CREATE INDEX approvals_task ON approvals (task_id, asked_at);
CREATE INDEX approvals_user ON approvals (user_id, n) WHERE state = 'asked';
CREATE INDEX approvals_expiry ON approvals (expires_at);
CREATE UNIQUE INDEX approvals_live ON approvals (task_id, resource, tool, definition, digest) WHERE state IN ('asked', 'allowed');

-- The newest sequence of each resource's feed: who writes events holds this row until they commit,
-- so that a number seen means that all before it are seen.
CREATE TABLE feed_heads (
    resource text COLLATE "C" NOT NULL PRIMARY KEY REFERENCES resources (uri),
    seq      bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE feed (
    resource text COLLATE "C" NOT NULL,
    seq      bigint NOT NULL, -- gapless per resource, from 1
    kind     text COLLATE "C" NOT NULL,
    task_id  text COLLATE "C" NOT NULL,
    jti      text COLLATE "C" NOT NULL,
    state    text COLLATE "C" NOT NULL,
    reason   text COLLATE "C" NOT NULL,
    at       bigint NOT NULL,
    acked_at bigint NOT NULL DEFAULT 0, -- the Guard applied it; 0: not yet
    PRIMARY KEY (resource, seq)
) WITH (fillfactor = 80);
CREATE INDEX feed_at ON feed (resource, at);
CREATE INDEX feed_age ON feed (at);
CREATE INDEX feed_ended ON feed (task_id) WHERE kind = 'task.ended';

-- Records wait here, as their verbs committed them, until the sequencer moves them into the ledger.
CREATE TABLE ledger_inbox (
    id        bigint  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    instance  integer NOT NULL,
    n         bigint  NOT NULL,
    at        bigint  NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    task      text COLLATE "C" NOT NULL,
    "user"    text COLLATE "C" NOT NULL,
    client    text COLLATE "C" NOT NULL,
    agent     text COLLATE "C" NOT NULL,
    resource  text COLLATE "C" NOT NULL,
    jti       text COLLATE "C" NOT NULL,
    execution text COLLATE "C" NOT NULL,
    digest    bytea   NOT NULL,
    payload   text COLLATE "C" NOT NULL,
    salt      bytea   NOT NULL,
    UNIQUE (instance, n)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000, autovacuum_vacuum_cost_delay = 0);

-- The head of the chain, and who may lengthen it until when.
CREATE TABLE chain (
    one    boolean PRIMARY KEY DEFAULT true CHECK (one),
    size   bigint  NOT NULL,
    head   bytea   NOT NULL,
    room   bigint  NOT NULL, -- places that have a partition
    leader text COLLATE "C" NOT NULL,
    until  bigint  NOT NULL
) WITH (fillfactor = 10);
INSERT INTO chain (size, head, room, leader, until) VALUES (0, '', 10000000, '', 0);

-- The ledger, in partitions of ten million places; the sequencer makes the next one in time.
CREATE TABLE ledger (
    seq       bigint  NOT NULL PRIMARY KEY,
    hash      bytea   NOT NULL,
    instance  integer NOT NULL,
    n         bigint  NOT NULL,
    at        bigint  NOT NULL,
    kind      text COLLATE "C" NOT NULL,
    task      text COLLATE "C" NOT NULL,
    "user"    text COLLATE "C" NOT NULL,
    client    text COLLATE "C" NOT NULL,
    agent     text COLLATE "C" NOT NULL,
    resource  text COLLATE "C" NOT NULL,
    jti       text COLLATE "C" NOT NULL,
    execution text COLLATE "C" NOT NULL,
    digest    bytea   NOT NULL,
    payload   text COLLATE "C",            -- NULL: erased
    salt      bytea,           -- NULL: erased
    refused   boolean NOT NULL -- a decision that was no, while its payload is there
) PARTITION BY RANGE (seq);
CREATE INDEX ledger_task ON ledger (task, seq) WHERE task <> '';
CREATE INDEX ledger_kind ON ledger (kind, seq);
CREATE INDEX ledger_calls ON ledger (task, refused, seq) WHERE kind = 'execution.decided' AND task <> '';
CREATE INDEX ledger_findings ON ledger (seq)
WHERE (kind >= 'finding.' AND kind < 'finding/' OR kind = 'rule.fired' OR kind = 'execution.disputed');
CREATE TABLE ledger_1 PARTITION OF ledger FOR VALUES FROM (1) TO (10000001);

CREATE TABLE checkpoints (
    id     bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    size   bigint NOT NULL,
    head   bytea  NOT NULL,
    at     bigint NOT NULL,
    signed text COLLATE "C" NOT NULL
);

-- The ledger only grows. What may still change: a payload may be erased. (The chain finds what the
-- triggers cannot prevent.)

-- +goose StatementBegin
CREATE FUNCTION ledger_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%: a row cannot be changed or deleted', TG_TABLE_NAME;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION ledger_erases() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.payload IS NOT NULL OR NEW.salt IS NOT NULL OR (NEW.seq, NEW.hash, NEW.instance, NEW.n, NEW.at, NEW.kind, NEW.task,
        NEW."user", NEW.client, NEW.agent, NEW.resource, NEW.jti, NEW.execution, NEW.digest) IS DISTINCT FROM
        (OLD.seq, OLD.hash, OLD.instance, OLD.n, OLD.at, OLD.kind, OLD.task,
        OLD."user", OLD.client, OLD.agent, OLD.resource, OLD.jti, OLD.execution, OLD.digest) THEN
        RAISE EXCEPTION 'ledger: a record cannot be changed, its payload can only be erased';
    END IF;
    NEW.refused := false;
    RETURN NEW;
END $$;
-- +goose StatementEnd

CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_stays();
CREATE TRIGGER ledger_no_truncate BEFORE TRUNCATE ON ledger FOR EACH STATEMENT EXECUTE FUNCTION ledger_stays();
CREATE TRIGGER ledger_erase BEFORE UPDATE ON ledger FOR EACH ROW EXECUTE FUNCTION ledger_erases();
CREATE TRIGGER ledger_inbox_no_update BEFORE UPDATE ON ledger_inbox FOR EACH ROW EXECUTE FUNCTION ledger_stays();
CREATE TRIGGER ledger_inbox_no_truncate BEFORE TRUNCATE ON ledger_inbox FOR EACH STATEMENT EXECUTE FUNCTION ledger_stays();
CREATE TRIGGER checkpoints_stay BEFORE UPDATE OR DELETE ON checkpoints FOR EACH ROW EXECUTE FUNCTION ledger_stays();
CREATE TRIGGER checkpoints_no_truncate BEFORE TRUNCATE ON checkpoints FOR EACH STATEMENT EXECUTE FUNCTION ledger_stays();

-- Replay memory and rate limits of several instances without Redis. Unlogged tables are emptied by a
-- crash, all of them together: with the keys goes the epoch's name, and the next one has another.
CREATE UNLOGGED TABLE replay_epoch (
    one  boolean PRIMARY KEY DEFAULT true CHECK (one),
    name text COLLATE "C" NOT NULL
);
CREATE UNLOGGED TABLE replays (
    key        bytea  NOT NULL PRIMARY KEY,
    expires_at bigint NOT NULL
);
CREATE INDEX replays_expiry ON replays (expires_at);
CREATE UNLOGGED TABLE buckets (
    key     bytea  NOT NULL PRIMARY KEY,
    full_at bigint NOT NULL
) WITH (fillfactor = 50);
CREATE INDEX buckets_full ON buckets (full_at);
