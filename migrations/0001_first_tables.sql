-- The first schema. Comments here are for readers of a database file: this text is what
-- sqlite3's .schema shows.
--
-- Dense indices (user_index, item_index, type_index) start at 0 and are given out in order of
-- appearance; rows of users, items and types are never deleted, so an index is never reused.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value ANY NOT NULL
) STRICT, WITHOUT ROWID;

-- recorded: rows ever recorded, which is also the last sequence number given out.
-- interactions: rows now, so that counting does not read them all.
-- checked: when a health check last wrote here.
INSERT INTO meta (key, value) VALUES
    ('identity', lower(hex(randomblob(16)))),
    ('recorded', 0),
    ('interactions', 0),
    ('checked', 0);

CREATE TABLE users (
    user_index INTEGER NOT NULL PRIMARY KEY,
    user_id    TEXT UNIQUE                      -- NULL once the user is erased
) STRICT;

CREATE TABLE items (
    item_index INTEGER NOT NULL PRIMARY KEY,
    item_id    TEXT NOT NULL UNIQUE,
    title      TEXT,
    hidden     INTEGER NOT NULL DEFAULT 0,
    deleted    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE categories (
    category_index INTEGER NOT NULL PRIMARY KEY,
    name           TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE item_categories (
    item     INTEGER NOT NULL,
    position INTEGER NOT NULL,                  -- as the client listed them
    category INTEGER NOT NULL,
    PRIMARY KEY (item, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE types (
    type_index INTEGER NOT NULL PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE
) STRICT;

-- Clustered by user: a history, a training snapshot (rows come by user, oldest first), a page and
-- an erasure are each one range of this tree.
CREATE TABLE interactions (
    user      INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,                 -- Unix seconds
    sequence  INTEGER NOT NULL,                 -- order of arrival, over all users
    item      INTEGER NOT NULL,
    type      INTEGER NOT NULL,
    value     REAL NOT NULL,
    event_id  TEXT,
    PRIMARY KEY (user, timestamp, sequence)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX interactions_event ON interactions (event_id) WHERE event_id IS NOT NULL;

CREATE TABLE runs (
    run_id      INTEGER NOT NULL PRIMARY KEY,
    state       TEXT NOT NULL,
    family      TEXT NOT NULL,
    parameters  TEXT NOT NULL,
    version     TEXT NOT NULL,
    metrics     TEXT NOT NULL,
    error       TEXT NOT NULL,
    created_at  INTEGER NOT NULL,
    started_at  INTEGER NOT NULL,
    finished_at INTEGER NOT NULL
) STRICT;
