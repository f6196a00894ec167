-- A service's session as far as it is not a fact of its job's folder.
CREATE TABLE sessions (
    service TEXT PRIMARY KEY,
    job TEXT,
    spec_hash TEXT NOT NULL,
    port INTEGER NOT NULL,
    url TEXT NOT NULL,
    outputs TEXT NOT NULL,
    first_generation INTEGER NOT NULL,
    started_at REAL NOT NULL,
    started_by TEXT NOT NULL,
    stopped_at REAL
) STRICT;

-- One row for each generation that was seen ready.
CREATE TABLE boots (
    service TEXT NOT NULL,
    job TEXT NOT NULL,
    generation INTEGER NOT NULL,
    started_at REAL NOT NULL,
    ready_at REAL NOT NULL,
    PRIMARY KEY (service, job, generation)
) STRICT;

-- An index of jobs for people; the truth stands in each job's folder.
CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    title TEXT NOT NULL,
    created_at REAL NOT NULL,
    by TEXT NOT NULL
) STRICT;

CREATE TABLE runs (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    mode TEXT NOT NULL,
    created_at REAL NOT NULL,
    by TEXT NOT NULL,
    ended_at REAL,
    reason TEXT
) STRICT;
CREATE UNIQUE INDEX one_active_run ON runs (state) WHERE state = 'active';

CREATE TABLE slots (
    run TEXT NOT NULL REFERENCES runs (id),
    n INTEGER NOT NULL,
    test TEXT NOT NULL,
    PRIMARY KEY (run, n)
) STRICT;

CREATE TABLE attempts (
    id TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    slot INTEGER NOT NULL,
    n INTEGER NOT NULL,
    test TEXT NOT NULL,
    work TEXT NOT NULL,
    params TEXT NOT NULL,
    service TEXT,
    timeout_s REAL NOT NULL,
    lease TEXT NOT NULL,
    by TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at REAL NOT NULL,
    job TEXT,
    prompt_id TEXT,
    started_at REAL,
    ended_at REAL,
    generation INTEGER,
    joined_running INTEGER,
    verdict TEXT,
    failure TEXT,
    evidence TEXT NOT NULL DEFAULT '{}',
    progress TEXT NOT NULL DEFAULT '{}',
    carried TEXT NOT NULL DEFAULT '{}',
    delivered_at REAL,
    cancelled_by TEXT,
    call INTEGER, -- the ledger's call that began it, which ends with its verdict
    world TEXT NOT NULL DEFAULT '',
    UNIQUE (run, slot, n),
    FOREIGN KEY (run, slot) REFERENCES slots (run, n)
) STRICT;
CREATE INDEX open_attempts ON attempts (service) WHERE state <> 'done';

-- Why a test could not even start: no attempt, but somebody has to hear of it.
CREATE TABLE setbacks (
    attempt TEXT PRIMARY KEY,
    run TEXT NOT NULL,
    work TEXT NOT NULL,
    at REAL NOT NULL,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    advice TEXT NOT NULL,
    facts TEXT NOT NULL,
    heard_at REAL
) STRICT;

CREATE TABLE checkpoints (
    run TEXT NOT NULL,
    slot INTEGER NOT NULL,
    result TEXT NOT NULL,
    verdict TEXT,
    note TEXT NOT NULL,
    at REAL NOT NULL,
    by TEXT NOT NULL,
    PRIMARY KEY (run, slot),
    FOREIGN KEY (run, slot) REFERENCES slots (run, n)
) STRICT;

-- Every call ever judged. outcome is NULL while it runs, or when the process that ran it died.
-- would: the ruling it would have been where the guard only watches. shown, fault, signature, seen: what its result
-- told (model.calls.PastCall); result: the facts themselves, as far as a replay needs them.
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    tool TEXT NOT NULL,
    identity TEXT NOT NULL,
    args TEXT NOT NULL,
    caller TEXT NOT NULL,
    lease TEXT NOT NULL,
    door TEXT NOT NULL,
    ruling TEXT NOT NULL,
    rule TEXT,
    would TEXT,
    state TEXT NOT NULL,
    incident TEXT,
    run TEXT,
    subject TEXT NOT NULL,
    world TEXT NOT NULL,
    planned INTEGER NOT NULL,
    free INTEGER NOT NULL,
    joins INTEGER NOT NULL,
    person INTEGER NOT NULL,
    outcome TEXT,
    ended_at REAL,
    shown TEXT,
    fault TEXT,
    signature TEXT,
    seen INTEGER NOT NULL DEFAULT 0,
    result TEXT
) STRICT;
CREATE INDEX open_calls ON ledger (lease) WHERE outcome IS NULL;
CREATE INDEX ledger_incident ON ledger (incident) WHERE incident IS NOT NULL;
CREATE INDEX ledger_stopped ON ledger (id) WHERE ruling = 'refuse';
CREATE INDEX ledger_refused ON ledger (run) WHERE ruling = 'refuse';

-- Fingerprints that differ only by files which a test wrote while it ran.
CREATE TABLE worlds (
    id TEXT PRIMARY KEY,
    means TEXT NOT NULL
) STRICT;

-- The breaker, state after state: the last row is in force. Each row's seal covers it and the seal before, so that a
-- change made past this program is found.
CREATE TABLE breaker (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    state TEXT NOT NULL,
    body TEXT NOT NULL,
    actor TEXT NOT NULL,
    seal TEXT NOT NULL
) STRICT;

-- What outside notices are read from: resource updates, dashboard, webhooks.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    run TEXT,
    body TEXT NOT NULL
) STRICT;
