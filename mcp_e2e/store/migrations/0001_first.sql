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
    state TEXT NOT NULL,
    incident TEXT,
    run TEXT,
    outcome TEXT,
    ended_at REAL
) STRICT;
CREATE INDEX open_calls ON ledger (lease) WHERE outcome IS NULL;
CREATE INDEX ledger_incident ON ledger (incident) WHERE incident IS NOT NULL;

CREATE TABLE breaker (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    state TEXT NOT NULL,
    generation INTEGER NOT NULL,
    reds TEXT NOT NULL,
    red_limit INTEGER,
    incident TEXT,
    opened_at REAL,
    opened_by TEXT,
    probe_call INTEGER,
    probe_lease TEXT,
    probe_attempt TEXT
) STRICT;
INSERT INTO breaker (id, state, generation, reds) VALUES (1, 'closed', 0, '[]');

-- What outside notices are read from: resource updates, dashboard, webhooks.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    kind TEXT NOT NULL,
    run TEXT,
    body TEXT NOT NULL
) STRICT;
