-- Two transactions that delete rows of one data file must not both commit. DuckLake compares the snapshots at which delete
-- files begin, and overlooks the other one where a delete file replaces an older, whose begin it keeps. So PostgreSQL,
-- where several servers meet, lets no data file have two. The text is one that DuckLake does not take for a reason to try
-- again: from a newer state the rows to delete must be looked for anew.
CALL postgres_execute('{{metadata}}', $guard$
DO $do$
BEGIN
    -- Servers that start at the same time make it one after the other.
    PERFORM pg_advisory_xact_lock(hashtext('merganser_one_delete_file'));
    CREATE OR REPLACE FUNCTION merganser_one_delete_file() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT AS $body$
    BEGIN
        IF EXISTS (SELECT FROM ducklake_delete_file WHERE data_file_id = NEW.data_file_id AND end_snapshot IS NULL) THEN
            RAISE 'could not serialize access to rows that another transaction has deleted'
            USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN NEW;
    END
    $body$;
    IF EXISTS (SELECT FROM pg_trigger WHERE tgname = 'merganser_one_delete_file'
               AND tgrelid = 'ducklake_delete_file'::regclass) THEN
        RETURN;
    END IF;
    CREATE INDEX IF NOT EXISTS merganser_live_delete_files ON ducklake_delete_file (data_file_id) WHERE end_snapshot IS NULL;
    CREATE TRIGGER merganser_one_delete_file BEFORE INSERT ON ducklake_delete_file
    FOR EACH ROW WHEN (NEW.end_snapshot IS NULL) EXECUTE FUNCTION merganser_one_delete_file();
END
$do$
$guard$);
-- Of two transactions that read and write one table, the later must have seen what the other wrote (lake/commit/conflict.rs).
-- A commit says in its mark which tables it read, by name, and since which snapshot; `*` is any table. Servers see only
-- their own commits, so PostgreSQL compares the marks.
CALL postgres_execute('{{metadata}}', $guard$
DO $do$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('merganser_read_and_written'));
    CREATE OR REPLACE FUNCTION merganser_read_and_written() RETURNS trigger LANGUAGE plpgsql
    SET search_path FROM CURRENT AS $body$
    DECLARE
        own jsonb := NEW.commit_extra_info::jsonb -> 'reads';
    BEGIN
        IF EXISTS (
            SELECT FROM ducklake_snapshot_changes other, LATERAL jsonb_array_elements_text(
                CASE WHEN other.commit_extra_info LIKE '{"commit":"%","reads":{%'
                THEN other.commit_extra_info::jsonb -> 'reads' -> 'tables' ELSE '[]'::jsonb END
            ) AS its(name)
            WHERE other.snapshot_id > (own ->> 'since')::bigint AND other.snapshot_id < NEW.snapshot_id
            AND (own -> 'tables' ?| ARRAY['*', its.name] OR its.name = '*')
        ) THEN
            RAISE 'could not serialize access to a table that another transaction has changed'
            USING ERRCODE = 'serialization_failure';
        END IF;
        RETURN NEW;
    END
    $body$;
    IF EXISTS (SELECT FROM pg_trigger WHERE tgname = 'merganser_read_and_written'
               AND tgrelid = 'ducklake_snapshot_changes'::regclass) THEN
        RETURN;
    END IF;
    CREATE TRIGGER merganser_read_and_written BEFORE INSERT ON ducklake_snapshot_changes
    FOR EACH ROW WHEN (NEW.commit_extra_info LIKE '{"commit":"%","reads":{%')
    EXECUTE FUNCTION merganser_read_and_written();
END
$do$
$guard$);
