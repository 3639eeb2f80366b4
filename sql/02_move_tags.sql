-- Moves the tags of a lake that has them in a schema of their own. Does nothing to other lakes.
BEGIN TRANSACTION;
CREATE SCHEMA IF NOT EXISTS __ducklake_metadata_lake.merganser;
CREATE TABLE IF NOT EXISTS __ducklake_metadata_lake.merganser.tags AS FROM __ducklake_metadata_lake.merganser_tags LIMIT 0;
INSERT INTO __ducklake_metadata_lake.merganser_tags FROM __ducklake_metadata_lake.merganser.tags;
DROP SCHEMA __ducklake_metadata_lake.merganser CASCADE;
COMMIT;
