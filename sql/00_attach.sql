-- Attaches the lake. Runs once, when the server starts, with the catalog, its options and the data path filled in.

-- Time travel of this DuckLake uses the statistics of the newest snapshot. After files were rewritten they are too
-- narrow for older ones, and the optimizer would omit rows (duckdb/ducklake#1377). The other two give wrong rows for
-- QUALIFY (duckdb/duckdb#23675) and for LEFT JOIN with unnest (duckdb/duckdb#25213).
SET GLOBAL disabled_optimizers = 'statistics_propagation,top_n_window_elimination,join_elimination';
-- DuckLake retries commits that conflict. Ten attempts are too few for many writers; a constant wait, 100 ms at most,
-- bounds a commit that cannot be interrupted to 10 seconds.
SET GLOBAL ducklake_max_retry_count = 100;
SET GLOBAL ducklake_retry_backoff = 1.0;
-- Planning takes time that grows with the cube of the depth of an expression, and cannot be interrupted: half a minute for
-- DuckDB's default of 1,000, a second for this.
SET GLOBAL max_expression_depth = 300;

ATTACH {{catalog}} AS lake ({{options}}DATA_PATH {{data_path}}, DATA_INLINING_ROW_LIMIT 0);

-- Inlined rows can be duplicated or reappear after deletion (duckdb/ducklake#1406, #1084). The option of the lake
-- takes precedence over those of connections.
CALL lake.set_option('data_inlining_row_limit', 0);

-- One transaction, so that a new lake starts with one snapshot for its layers.
BEGIN TRANSACTION;
CREATE SCHEMA IF NOT EXISTS lake.raw;
CREATE SCHEMA IF NOT EXISTS lake.silver;
CREATE SCHEMA IF NOT EXISTS lake.gold;
COMMIT;
