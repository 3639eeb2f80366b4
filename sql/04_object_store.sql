-- Sets DuckDB up for a lake on S3, with the places filled in. Runs before the lake is attached.

-- What the extension found in the environment, every client could read in duckdb_settings().
SET GLOBAL s3_access_key_id = '';
SET GLOBAL s3_secret_access_key = '';
SET GLOBAL s3_session_token = '';

-- The lake's files never change in place, so that what was read of them once is asked for no more.
SET GLOBAL enable_http_metadata_cache = true;
SET GLOBAL enable_external_file_cache = true;
SET GLOBAL validate_external_file_cache = 'NO_VALIDATION';

-- For each try, in seconds; the waits between them double.
SET GLOBAL http_timeout = {{timeout_seconds}};
SET GLOBAL http_retries = {{retries}};
SET GLOBAL http_retry_wait_ms = {{wait_millis}};
SET GLOBAL http_retry_backoff = 2;
SET GLOBAL ca_cert_file = {{ca_bundle}};
-- Parts of 10 MB: those of the default, 80 MB, take longer than a try may on a slow line.
SET GLOBAL s3_uploader_max_filesize = '100GB';

CREATE TEMPORARY SECRET merganser_storage (TYPE s3, PROVIDER config, {{secret}});

-- Asks the store for names that nothing has, so that it is known now whether DuckDB reaches it.
FROM glob({{probe}});
