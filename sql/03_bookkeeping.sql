-- Makes the server's bookkeeping in a catalog, whose name is filled in. It lies beside DuckLake's own tables, not in the
-- lake: it makes no snapshots, and neither rollback nor expiry touches it. SQLite has no schemas, so a name alone keeps
-- it apart. Copies of a catalog hold every table that is made here.
CREATE TABLE IF NOT EXISTS {{metadata}}.merganser_tags (
    name VARCHAR PRIMARY KEY,
    snapshot_id BIGINT NOT NULL,
    author VARCHAR NOT NULL,
    created TIMESTAMP WITH TIME ZONE NOT NULL
);
-- The positions of feeds that snapshots said which have expired; those that exist say it themselves (lake/feeds.rs).
CREATE TABLE IF NOT EXISTS {{metadata}}.merganser_feeds (
    table_id BIGINT NOT NULL,
    feed VARCHAR NOT NULL,
    snapshot_id BIGINT NOT NULL,
    position BIGINT NOT NULL
);
