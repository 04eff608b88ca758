-- Times are seconds since 1970. JSON is text.

CREATE TABLE jobs (
  id       TEXT PRIMARY KEY,
  verb     TEXT NOT NULL,
  body     TEXT NOT NULL,
  state    TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'failed', 'cancelled')),
  key      TEXT UNIQUE,
  client   TEXT NOT NULL DEFAULT '',
  slow     INTEGER NOT NULL DEFAULT 0,
  created  REAL NOT NULL,
  started  REAL,
  finished REAL,
  worker   TEXT,
  attempts INTEGER NOT NULL DEFAULT 0,
  progress REAL NOT NULL DEFAULT 0,
  cancel   INTEGER NOT NULL DEFAULT 0,
  pieces   TEXT NOT NULL DEFAULT '[]',
  result   TEXT,
  error    TEXT
);
CREATE INDEX jobs_by_state ON jobs (state, created);
CREATE INDEX jobs_by_finish ON jobs (finished) WHERE finished IS NOT NULL;

CREATE TABLE events (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  job    TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  name   TEXT NOT NULL,
  data   TEXT NOT NULL
);
CREATE INDEX events_by_job ON events (job, number);

-- The files in pieces/ hold all of this too: the table can be made again from them.
CREATE TABLE pieces (
  id          TEXT PRIMARY KEY,
  title       TEXT NOT NULL,
  created     REAL NOT NULL,
  source      TEXT NOT NULL CHECK (source IN ('composed', 'uploaded')),
  verb        TEXT NOT NULL,
  model       TEXT NOT NULL,
  bundle_hash TEXT NOT NULL,
  seed        INTEGER,
  request     TEXT NOT NULL,
  parent      TEXT,
  favourite   INTEGER NOT NULL DEFAULT 0,
  tags        TEXT NOT NULL DEFAULT '[]',
  n_bars      INTEGER NOT NULL,
  n_notes     INTEGER NOT NULL,
  duration_s  REAL NOT NULL,
  key         TEXT,
  tempo_bpm   REAL NOT NULL,
  metre       TEXT NOT NULL,
  tracks      TEXT NOT NULL,
  judge       TEXT,
  deleted     REAL,
  named       INTEGER NOT NULL DEFAULT 0,  -- the title was given by somebody
  facts       TEXT NOT NULL DEFAULT '{}',
  words       TEXT NOT NULL  -- what is searched, in lower case: SQLite's own LIKE folds ASCII alone
);
CREATE INDEX pieces_by_time ON pieces (deleted, created);
CREATE INDEX pieces_by_parent ON pieces (parent);

CREATE TABLE uploads (
  id      TEXT PRIMARY KEY,
  name    TEXT NOT NULL,
  created REAL NOT NULL,
  n_bytes INTEGER NOT NULL
);
