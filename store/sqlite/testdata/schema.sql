CREATE TABLE access_tokens (
    jti        TEXT    NOT NULL PRIMARY KEY,
    task_id    TEXT    NOT NULL REFERENCES tasks (id),
    resource   TEXT    NOT NULL,
    client_id  TEXT    NOT NULL,
    jkt        TEXT    NOT NULL,
    issued_at  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    revoked    INTEGER NOT NULL
, kid TEXT NOT NULL DEFAULT '', claims TEXT NOT NULL DEFAULT '') STRICT;

CREATE INDEX access_tokens_task ON access_tokens (task_id, resource, expires_at);

CREATE TABLE approvals (
    id         TEXT    NOT NULL PRIMARY KEY,
    task_id    TEXT    NOT NULL REFERENCES tasks (id),
    user_id    TEXT    NOT NULL REFERENCES users (id),
    resource   TEXT    NOT NULL,
    tool       TEXT    NOT NULL,
    definition TEXT    NOT NULL,
    digest     TEXT    NOT NULL, -- of the arguments in RFC 8785 form
    arguments  BLOB,             -- sealed; NULL: nobody has to decide on them any more
    state      TEXT    NOT NULL,
    execution  TEXT    NOT NULL, -- that asked, then that which spent it
    asked_at   INTEGER NOT NULL,
    decided_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    CHECK ((state = 'asked') = (arguments IS NOT NULL))
) STRICT;

CREATE INDEX approvals_expiry ON approvals (expires_at);

CREATE UNIQUE INDEX approvals_live ON approvals (task_id, resource, tool, definition, digest) WHERE state IN ('asked', 'allowed');

CREATE INDEX approvals_task ON approvals (task_id, asked_at);

CREATE INDEX approvals_user ON approvals (user_id) WHERE state = 'asked';

CREATE TABLE backends (
    resource TEXT NOT NULL REFERENCES resources (uri),
    backend  TEXT NOT NULL REFERENCES resources (uri),
    scopes   TEXT NOT NULL, -- JSON
    PRIMARY KEY (resource, backend)
) STRICT, WITHOUT ROWID;

CREATE TABLE checkpoints (
    id     INTEGER PRIMARY KEY,
    size   INTEGER NOT NULL,
    head   BLOB    NOT NULL,
    at     INTEGER NOT NULL,
    signed TEXT    NOT NULL
) STRICT;

CREATE TRIGGER checkpoints_no_delete BEFORE DELETE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints: cannot be deleted'); END;

CREATE TRIGGER checkpoints_no_replace BEFORE INSERT ON checkpoints
WHEN EXISTS (SELECT 1 FROM checkpoints WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'checkpoints: cannot be replaced'); END;

CREATE TRIGGER checkpoints_no_update BEFORE UPDATE ON checkpoints
BEGIN SELECT RAISE(ABORT, 'checkpoints: cannot be changed'); END;

CREATE TABLE client_versions (
    client_id TEXT    NOT NULL REFERENCES clients (id),
    since     INTEGER NOT NULL,
    metadata  TEXT    NOT NULL, -- JSON
    PRIMARY KEY (client_id, since)
) STRICT, WITHOUT ROWID;

CREATE TABLE clients (
    id          TEXT    NOT NULL PRIMARY KEY,
    metadata    TEXT    NOT NULL, -- JSON, RFC 7591 §2
    policy      TEXT    NOT NULL, -- JSON
    secret_hash BLOB,
    disabled    INTEGER NOT NULL,
    created_at  INTEGER NOT NULL
, origin TEXT NOT NULL DEFAULT '', digest BLOB, renewed_at INTEGER NOT NULL DEFAULT 0, changed_at INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE UNIQUE INDEX clients_digest ON clients (digest) WHERE digest IS NOT NULL;

CREATE INDEX clients_strangers ON clients (renewed_at) WHERE origin <> '';

CREATE TABLE codes (
    id            BLOB    NOT NULL PRIMARY KEY,
    task_id       TEXT    NOT NULL REFERENCES tasks (id),
    client_id     TEXT    NOT NULL,
    redirect_uri  TEXT    NOT NULL,
    redirect_sent INTEGER NOT NULL,
    challenge     TEXT    NOT NULL,
    jkt           TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    spent         INTEGER NOT NULL,
    extends       INTEGER NOT NULL  -- 1: its task was running when the code was made
, key_bound INTEGER NOT NULL DEFAULT 0, identity TEXT NOT NULL DEFAULT '') STRICT;

CREATE INDEX codes_task ON codes (task_id);

CREATE TABLE devices (
    id         BLOB    NOT NULL PRIMARY KEY,
    user_code  BLOB    NOT NULL UNIQUE,
    client_id  TEXT    NOT NULL REFERENCES clients (id),
    params     BLOB    NOT NULL,
    jkt        TEXT    NOT NULL,
    denied     INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;

CREATE INDEX devices_expiry ON devices (expires_at);

CREATE TABLE dismissals (
    finding INTEGER PRIMARY KEY, -- its place in the chain
    at      INTEGER NOT NULL,
    by      TEXT    NOT NULL,
    person  TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;

CREATE TABLE epochs (
    n    INTEGER PRIMARY KEY,
    at   INTEGER NOT NULL,
    size INTEGER NOT NULL -- records of the ledger
) STRICT;

CREATE TABLE feed (
    resource TEXT    NOT NULL REFERENCES resources (uri),
    seq      INTEGER NOT NULL, -- gapless per resource, from 1
    kind     TEXT    NOT NULL,
    task_id  TEXT    NOT NULL,
    jti      TEXT    NOT NULL,
    state    TEXT    NOT NULL,
    reason   TEXT    NOT NULL,
    at       INTEGER NOT NULL, acked_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (resource, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX feed_age ON feed (at);

CREATE INDEX feed_at ON feed (resource, at);

CREATE INDEX feed_ended ON feed (task_id) WHERE kind = 'task.ended';

CREATE TABLE grants (
    id         TEXT    NOT NULL PRIMARY KEY,
    task_id    TEXT    NOT NULL REFERENCES tasks (id),
    resource   TEXT    NOT NULL REFERENCES resources (uri),
    scopes     TEXT    NOT NULL, -- JSON
    details    BLOB    NOT NULL,
    hash       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    ended_at   INTEGER NOT NULL, -- 0: in force
    code       BLOB              -- widens a running task once this code is redeemed; NULL: in force
) STRICT;

CREATE INDEX grants_hash ON grants (resource, hash);

CREATE INDEX grants_task ON grants (task_id, resource);

CREATE TABLE guard_listeners (
    resource TEXT    NOT NULL REFERENCES resources (uri),
    replica  TEXT    NOT NULL,
    until    INTEGER NOT NULL, -- it hears the feed, or may act on what it has heard
    ack_seq  INTEGER NOT NULL,
    PRIMARY KEY (resource, replica)
) STRICT, WITHOUT ROWID;

CREATE TABLE guard_streams (
    guard          TEXT    NOT NULL,
    replica        TEXT    NOT NULL, -- never empty: that one's number is the guard's own
    next_execution INTEGER NOT NULL, used_at INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (guard, replica)
) STRICT, WITHOUT ROWID;

CREATE INDEX guard_streams_used ON guard_streams (used_at);

CREATE TABLE guards (
    resource       TEXT    NOT NULL PRIMARY KEY REFERENCES resources (uri),
    id             TEXT    UNIQUE, -- NULL: not enrolled
    key            TEXT    NOT NULL,
    next_execution INTEGER NOT NULL,
    ack_seq        INTEGER NOT NULL,
    ack_at         INTEGER NOT NULL
) STRICT;

CREATE TABLE identities (
    issuer  TEXT NOT NULL,
    subject TEXT NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id),
    PRIMARY KEY (issuer, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX identities_user ON identities (user_id);

CREATE TABLE instances (
    id         INTEGER PRIMARY KEY,
    name       TEXT    NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    pinged_at  INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE keys (
    id         TEXT    NOT NULL PRIMARY KEY,
    use        TEXT    NOT NULL,
    algorithm  TEXT    NOT NULL,
    sealed     BLOB    NOT NULL,
    state      TEXT    NOT NULL,
    created_at INTEGER NOT NULL
, active_at  INTEGER NOT NULL DEFAULT 0, retired_at INTEGER NOT NULL DEFAULT 0, killed_at  INTEGER NOT NULL DEFAULT 0) STRICT;

CREATE UNIQUE INDEX keys_active ON keys (use) WHERE state = 'active';

CREATE UNIQUE INDEX keys_next ON keys (use) WHERE state = 'next';

CREATE TABLE ledger (
    id        INTEGER PRIMARY KEY,
    instance  INTEGER NOT NULL REFERENCES instances (id),
    n         INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    task      TEXT    NOT NULL,
    user      TEXT    NOT NULL,
    client    TEXT    NOT NULL,
    agent     TEXT    NOT NULL,
    resource  TEXT    NOT NULL,
    jti       TEXT    NOT NULL,
    execution TEXT    NOT NULL,
    digest    BLOB    NOT NULL,
    payload   TEXT,            -- NULL: erased
    salt      BLOB,            -- NULL: erased
    seq       INTEGER UNIQUE,  -- NULL: not yet chained
    hash      BLOB, request TEXT NOT NULL DEFAULT '',
    UNIQUE (instance, n)
) STRICT;

CREATE INDEX ledger_calls ON ledger (task, kind, (payload ->> '$.decision')) WHERE kind = 'execution.decided' AND task <> '';

CREATE INDEX ledger_findings ON ledger (seq)
WHERE (kind >= 'finding.' AND kind < 'finding/' OR kind = 'rule.fired' OR kind = 'execution.disputed');

CREATE INDEX ledger_kind ON ledger (kind);

CREATE INDEX ledger_request ON ledger (request) WHERE request <> '';

CREATE INDEX ledger_task ON ledger (task) WHERE task <> '';

CREATE INDEX ledger_unrecorded ON ledger (task) WHERE kind = 'finding.execution_unrecorded' AND task <> '';

CREATE INDEX ledger_user ON ledger (user) WHERE user <> '';

CREATE TRIGGER ledger_chain_once BEFORE UPDATE OF seq, hash ON ledger
WHEN OLD.seq IS NOT NULL OR NEW.seq IS NULL OR NEW.hash IS NULL
BEGIN SELECT RAISE(ABORT, 'ledger: a record is chained once'); END;

CREATE TRIGGER ledger_erase BEFORE UPDATE OF payload, salt ON ledger
WHEN NEW.payload IS NOT NULL OR NEW.salt IS NOT NULL
BEGIN SELECT RAISE(ABORT, 'ledger: a payload can only be erased'); END;

CREATE TRIGGER ledger_next BEFORE INSERT ON ledger
WHEN NEW.seq IS NOT NULL OR NEW.hash IS NOT NULL OR EXISTS (SELECT 1 FROM ledger WHERE id = NEW.id)
  OR NEW.n <> (SELECT COALESCE(MAX(n), 0) + 1 FROM ledger WHERE instance = NEW.instance)
BEGIN SELECT RAISE(ABORT, 'ledger: records are numbered without a gap'); END;

CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger
BEGIN SELECT RAISE(ABORT, 'ledger: a record cannot be deleted'); END;

CREATE TRIGGER ledger_no_move BEFORE UPDATE ON ledger WHEN NEW.id <> OLD.id
BEGIN SELECT RAISE(ABORT, 'ledger: a record cannot be changed'); END;

CREATE TRIGGER ledger_no_update
BEFORE UPDATE OF id, instance, n, at, kind, task, user, client, agent, resource, jti, execution, request, digest ON ledger
BEGIN SELECT RAISE(ABORT, 'ledger: a record cannot be changed'); END;

CREATE TABLE passkeys (
    id         BLOB    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    name       TEXT    NOT NULL,
    credential BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL
) STRICT;

CREATE INDEX passkeys_user ON passkeys (user_id, created_at);

CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id),
    code    BLOB NOT NULL,
    PRIMARY KEY (user_id, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE refresh_tokens (
    id         BLOB    NOT NULL PRIMARY KEY,
    task_id    TEXT    NOT NULL REFERENCES tasks (id),
    client_id  TEXT    NOT NULL,
    jkt        TEXT    NOT NULL,
    scopes     TEXT    NOT NULL, -- JSON
    resource   TEXT    NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    spent_at   INTEGER NOT NULL, -- 0: live
    successor  BLOB,             -- sealed secret of the next one
    replays    INTEGER NOT NULL  -- how often the successor was given again
) STRICT;

CREATE INDEX refresh_tokens_task ON refresh_tokens (task_id);

CREATE TABLE remembered (
    id         TEXT    NOT NULL UNIQUE,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    client_id  TEXT    NOT NULL,
    grade      TEXT    NOT NULL,
    resource   TEXT    NOT NULL REFERENCES resources (uri),
    choice     BLOB    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    used_at    INTEGER NOT NULL,
    uses       INTEGER NOT NULL,
    PRIMARY KEY (user_id, client_id, grade, resource)
) STRICT;

CREATE INDEX remembered_client ON remembered (client_id);

CREATE INDEX remembered_expiry ON remembered (expires_at);

CREATE INDEX remembered_resource ON remembered (resource);

CREATE TABLE requests (
    id         BLOB    NOT NULL PRIMARY KEY,
    client_id  TEXT    NOT NULL REFERENCES clients (id),
    params     BLOB    NOT NULL,
    jkt        TEXT    NOT NULL,
    session    BLOB,             -- NULL: not shown yet
    decided    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
, device BLOB) STRICT;

CREATE INDEX requests_client ON requests (client_id);

CREATE INDEX requests_expiry ON requests (expires_at);

CREATE TABLE reservations (
    task_id   TEXT NOT NULL REFERENCES tasks (id),
    execution TEXT NOT NULL,
    resource  TEXT NOT NULL,
    tool      TEXT NOT NULL,
    PRIMARY KEY (task_id, execution, resource, tool)
) STRICT, WITHOUT ROWID;

CREATE TABLE resources (
    uri            TEXT    NOT NULL PRIMARY KEY,
    name           TEXT    NOT NULL,
    policy         BLOB    NOT NULL,
    policy_version TEXT    NOT NULL,
    enrol_hash     BLOB    UNIQUE,
    enrol_expires  INTEGER NOT NULL,
    disabled       INTEGER NOT NULL,
    created_at     INTEGER NOT NULL
) STRICT;

CREATE TABLE roles (
    user_id  TEXT NOT NULL REFERENCES users (id),
    resource TEXT NOT NULL REFERENCES resources (uri),
    role     TEXT NOT NULL,
    PRIMARY KEY (user_id, resource, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE schema_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);

CREATE TABLE second_factors (
    user_id    TEXT    NOT NULL PRIMARY KEY REFERENCES users (id),
    sealed     BLOB    NOT NULL,
    last_step  INTEGER NOT NULL, -- RFC 6238 §5.2: a step is accepted once
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE sessions (
    id         BLOB    NOT NULL PRIMARY KEY,
    user_id    TEXT    NOT NULL REFERENCES users (id),
    auth_time  INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
, method TEXT NOT NULL DEFAULT '', browser TEXT NOT NULL DEFAULT '', push BLOB NOT NULL DEFAULT x'', upstream TEXT NOT NULL DEFAULT '', sid TEXT NOT NULL DEFAULT '') STRICT;

CREATE INDEX sessions_expiry ON sessions (expires_at);

CREATE INDEX sessions_of ON sessions (user_id, auth_time);

CREATE INDEX sessions_upstream ON sessions (upstream, sid) WHERE upstream <> '';

CREATE TABLE spent (
    id         BLOB    NOT NULL PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX spent_expiry ON spent (expires_at);

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

CREATE TABLE tasks (
    id            TEXT    NOT NULL PRIMARY KEY,
    parent        TEXT    NOT NULL,
    user_id       TEXT    NOT NULL REFERENCES users (id),
    client_id     TEXT    NOT NULL REFERENCES clients (id),
    jkt           TEXT    NOT NULL,
    purpose       TEXT    NOT NULL,
    state         TEXT    NOT NULL,
    suspended_by  TEXT    NOT NULL,
    reason        TEXT    NOT NULL,
    max_calls     INTEGER NOT NULL,
    calls_used    INTEGER NOT NULL,
    created_at    INTEGER NOT NULL,
    activated_at  INTEGER NOT NULL,
    seen_at       INTEGER NOT NULL,
    suspended_at  INTEGER NOT NULL,
    ends_at       INTEGER NOT NULL,
    ended_at      INTEGER NOT NULL, -- 0: live
    pending_until INTEGER NOT NULL, pruned INTEGER NOT NULL DEFAULT 0, delegates TEXT NOT NULL DEFAULT '[]', generation INTEGER NOT NULL DEFAULT 0, -- when its code expires
    CHECK ((ended_at = 0) = (state IN ('pending', 'active', 'suspended'))),
    CHECK ((suspended_by <> '') = (state = 'suspended'))
) STRICT;

CREATE INDEX tasks_client ON tasks (client_id);

CREATE INDEX tasks_client_live ON tasks (client_id) WHERE ended_at = 0;

CREATE INDEX tasks_deadline ON tasks (ends_at) WHERE ended_at = 0;

CREATE INDEX tasks_history ON tasks (user_id, client_id, created_at);

CREATE INDEX tasks_idle ON tasks (seen_at) WHERE state = 'active';

CREATE INDEX tasks_live ON tasks (ended_at) WHERE ended_at = 0;

CREATE INDEX tasks_parent ON tasks (parent) WHERE parent <> '';

CREATE INDEX tasks_pending ON tasks (pending_until) WHERE state = 'pending';

CREATE INDEX tasks_prunable ON tasks (ended_at) WHERE ended_at > 0 AND pruned = 0;

CREATE INDEX tasks_unbound ON tasks (jkt) WHERE jkt = '' AND activated_at > 0;

CREATE INDEX tasks_user ON tasks (user_id);

CREATE INDEX tasks_user_live ON tasks (user_id) WHERE ended_at = 0;

CREATE TABLE tool_calls (
    task_id  TEXT    NOT NULL REFERENCES tasks (id),
    resource TEXT    NOT NULL,
    tool     TEXT    NOT NULL,
    used     INTEGER NOT NULL,
    PRIMARY KEY (task_id, resource, tool)
) STRICT, WITHOUT ROWID;

CREATE TABLE tools (
    resource   TEXT    NOT NULL REFERENCES resources (uri),
    name       TEXT    NOT NULL,
    definition BLOB    NOT NULL,
    hash       TEXT    NOT NULL, -- '': never approved
    live       BLOB    NOT NULL,
    live_hash  TEXT    NOT NULL, -- '': the live definition is the approved one
    default_on INTEGER NOT NULL, gone INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (resource, name)
) STRICT;

CREATE TABLE upstream_roles (
    user_id  TEXT NOT NULL REFERENCES users (id),
    resource TEXT NOT NULL REFERENCES resources (uri),
    role     TEXT NOT NULL,
    PRIMARY KEY (user_id, resource, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    id            TEXT    NOT NULL PRIMARY KEY,
    email         TEXT    NOT NULL,
    email_key     TEXT    NOT NULL UNIQUE, -- email in lower case
    name          TEXT    NOT NULL,
    password_hash TEXT    NOT NULL,
    console_role  TEXT    NOT NULL,
    disabled      INTEGER NOT NULL,
    created_at    INTEGER NOT NULL
, service INTEGER NOT NULL DEFAULT 0, read_args INTEGER NOT NULL DEFAULT 0) STRICT;

