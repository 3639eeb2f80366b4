-- Attaches the lake as it was at a snapshot, in an instance of its own, with the places filled in as in 00_attach.sql.

-- As there.
SET GLOBAL disabled_optimizers = 'statistics_propagation,top_n_window_elimination,join_elimination';
SET GLOBAL max_expression_depth = 300;

ATTACH {{catalog}} AS lake ({{options}}DATA_PATH {{data_path}}, READ_ONLY, SNAPSHOT_VERSION {{snapshot}});
