-- Attaches the lake as it was at a snapshot, in an instance of its own: {{catalog}} is a copy of the catalog.

-- As in 00_attach.sql.
SET GLOBAL disabled_optimizers = 'statistics_propagation';

ATTACH {{catalog}} AS lake (DATA_PATH {{data_path}}, READ_ONLY, SNAPSHOT_VERSION {{snapshot}});
