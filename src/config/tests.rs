use std::{collections::BTreeMap, ffi::OsString, io, num::NonZeroUsize, path::PathBuf, time::Duration};

use clap::{Args, Command, FromArgMatches};

use super::{
    DefaultValue, Faults, Flags, HostPort, Settings, Storage, TABLE,
    env::{self, Environment},
    load, load_with,
};
use crate::{
    auth::Credentials,
    error::{Error, ErrorKind},
    hub::{self, HubAccess, KaggleAccess},
    lake::{catalog::Catalog, postgres::Postgres},
    storage::{Access, Endpoint},
};

const REFERENCE: &str = include_str!("reference.toml");

/// What is written in the three sources; the file is `merganser.toml`.
#[derive(Default)]
struct Written<'a> {
    flags: &'a [&'a str],
    variables: &'a [(&'a str, &'a str)],
    file: Option<&'a str>,
}

struct Variables(BTreeMap<String, OsString>);

impl Environment for Variables {
    fn get(&self, name: &str) -> Option<OsString> {
        self.0.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

fn variables(pairs: &[(&str, &str)]) -> Variables {
    Variables(pairs.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect())
}

fn flags(arguments: &[&str]) -> Flags {
    let command = Flags::augment_args(Command::new("serve").no_binary_name(true));
    Flags::from_arg_matches(&command.try_get_matches_from(arguments).unwrap()).unwrap()
}

impl Written<'_> {
    fn load(&self) -> Result<Settings, Faults> {
        let mut arguments = self.flags.to_vec();
        if self.file.is_some() {
            arguments.extend(["--config", "merganser.toml"]);
        }
        load_with(&flags(&arguments), &variables(self.variables), |path| {
            assert_eq!(path.as_os_str(), "merganser.toml");
            self.file.map(str::to_owned).ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }
}

#[track_caller]
fn check(written: &Written<'_>, expected: &Settings) {
    assert_eq!(written.load(), Ok(expected.clone()));
}

#[track_caller]
fn check_faults(written: &Written<'_>, expected: &[&str]) {
    let faults = written.load().unwrap_err();
    let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected);
}

#[track_caller]
fn check_file(file: &str, expected: &[&str]) {
    check_faults(&Written { file: Some(file), ..Written::default() }, expected);
}

#[track_caller]
fn check_text(key: &str, text: &str, expected: &Settings) {
    check(&Written { flags: &[&format!("--{key}={text}")], ..Written::default() }, expected);
}

#[track_caller]
fn check_refused(key: &str, texts: &[&str], expected: &str) {
    for text in texts {
        let message = format!("--{key}: {}", expected.replace("{}", &format!("{text:?}")));
        check_faults(&Written { flags: &[&format!("--{key}={text}")], ..Written::default() }, &[&message]);
    }
}

// === Sources ===

#[test]
fn nothing_written_means_the_defaults() {
    let defaults = Settings {
        home: PathBuf::from("./lakehouse"),
        listen: HostPort { host: "127.0.0.1".to_owned(), port: 31337 },
        tls_cert: None,
        tls_key: None,
        tls_client_ca: None,
        http: None,
        credentials: Credentials::default(),
        catalog: None,
        storage: Storage::Local(PathBuf::from("./lakehouse/store")),
        s3_access: Access::NONE,
        hugging_face: HubAccess::PUBLIC,
        kaggle: KaggleAccess::PUBLIC,
        allow_private_sources: false,
        storage_timeout: Duration::from_mins(1),
        extensions: None,
        models: None,
        memory_limit_bytes: None,
        threads: None,
        collect_results: true,
        max_connections: 64,
        grace: Duration::from_secs(30),
        result_ttl: Duration::from_mins(5),
        query_timeout: Duration::ZERO,
        session_idle: Duration::from_hours(8),
        session_max_age: Duration::from_hours(7 * 24),
        max_sessions: 10_000,
        max_sessions_per_user: 1_000,
        maintain_every: Duration::ZERO,
        maintain_expire_days: None,
        backup_keep: 0,
        log: "info".to_owned(),
    };
    check(&Written::default(), &defaults);
    assert_eq!(Settings::default(), defaults);
}

#[test]
fn flag_beats_variable_beats_file_beats_default() {
    let expected = |log: &str| Settings { log: log.to_owned(), ..Settings::default() };
    let file = Some("log = 'error'");
    let variables: &[_] = &[("MERGANSER_LOG", "warn")];
    check(&Written { file, ..Written::default() }, &expected("error"));
    check(&Written { variables, file, ..Written::default() }, &expected("warn"));
    check(&Written { flags: &["--log", "debug"], variables, file }, &expected("debug"));
    check(&Written { variables, ..Written::default() }, &expected("warn"));
    check(&Written { file, flags: &["--log", "debug"], ..Written::default() }, &expected("debug"));
}

#[test]
fn every_setting_has_a_flag_a_variable_and_a_key() {
    let value = |key: &str| match key {
        "memory_limit" => "1GB",
        "http" => "[::1]:7",
        "allow_private_sources" => "true",
        "collect_results" => "false",
        _ => "7",
    };
    let alone = |key: &str| !["listen", "log"].contains(&key) && !key.starts_with("tls_");
    for setting in TABLE.iter().filter(|setting| alone(setting.key)) {
        let (flag, variable) = (format!("--{}", setting.flag()), setting.variable());
        let (file, value) = (format!("{} = {:?}", setting.key, value(setting.key)), value(setting.key));
        let from_file = Written { file: Some(&file), ..Written::default() }.load().unwrap();
        assert_ne!(from_file, Settings::default(), "{}", setting.key);
        check(&Written { flags: &[&flag, value], ..Written::default() }, &from_file);
        check(&Written { variables: &[(&variable, value)], ..Written::default() }, &from_file);
    }
}

#[test]
fn store_follows_home() {
    for (home, store) in [("/data", "/data/store"), ("/data/", "/data/store"), ("/", "/store")] {
        let storage = Storage::Local(PathBuf::from(store));
        let expected = Settings { home: PathBuf::from(home), storage, ..Settings::default() };
        check(&Written { variables: &[("MERGANSER_HOME", home)], ..Written::default() }, &expected);
    }
    let file = Some("storage = 'elsewhere'");
    let storage = Storage::Local(PathBuf::from("elsewhere"));
    let expected = Settings { home: PathBuf::from("/data"), storage, ..Settings::default() };
    check(&Written { file, flags: &["--home", "/data"], ..Written::default() }, &expected);
}

#[test]
fn empty_variable_counts_as_not_set() {
    let variables = &[("MERGANSER_LOG", ""), ("MERGANSER_CONFIG", ""), ("MERGANSER_THREADS", "")];
    check(&Written { variables, ..Written::default() }, &Settings::default());
}

#[test]
fn variable_names_the_file_unless_a_flag_does() {
    let load = |flags: &Flags| {
        load_with(flags, &variables(&[(env::CONFIG, "variable.toml")]), |path| Ok(format!("log = {path:?}"))).unwrap()
    };
    assert_eq!(load(&Flags::default()).log, "variable.toml");
    assert_eq!(load(&flags(&["--config", "flag.toml"])).log, "flag.toml");
}

#[test]
fn numbers_and_booleans_of_the_file_are_texts() {
    for file in ["threads = 4", "threads = \"4\"", "threads = 0x4", "'threads' = '''4'''"] {
        let expected = Settings { threads: NonZeroUsize::new(4), ..Settings::default() };
        check(&Written { file: Some(file), ..Written::default() }, &expected);
    }
    let expected = Settings { log: "true".to_owned(), home: PathBuf::from("1.5"), ..Settings::default() };
    let storage = Storage::Local(PathBuf::from("1.5/store"));
    check(&Written { file: Some("log = true\nhome = 1.5"), ..Written::default() }, &Settings { storage, ..expected });
}

// === Faults ===

#[test]
fn all_faults_of_all_sources_are_reported_at_once() {
    let faults = Written {
        file: Some("# ours\nlisen = \"0.0.0.0:1\"\n\nmax_connections 5\nthreads = \"many\"\n"),
        variables: &[("MERGANSER_GRACE_SECONDS", "-1"), ("MERGANSER_LOGS", "info")],
        flags: &["--memory-limit", "8"],
    };
    let expected = r#"configuration has 6 faults:
  merganser.toml:2: unknown setting "lisen"; did you mean "listen"?
  merganser.toml:4: invalid TOML: key with no value, expected `=`
  merganser.toml:5: "threads": expected a whole number of at least 1, got "many"
  MERGANSER_GRACE_SECONDS: expected a whole number of seconds from 0 to 3600, got "-1"
  MERGANSER_LOGS: unknown setting; did you mean "MERGANSER_LOG"?
  --memory-limit: expected a size such as 8GB, 8GiB or 512MB, got "8""#;
    let faults = faults.load().unwrap_err();
    assert_eq!(faults.to_string(), expected);
    let error = Error::from(faults);
    assert_eq!((error.kind(), error.message()), (ErrorKind::InvalidArgument, expected));
}

#[test]
fn one_fault_is_singular() {
    let faults = Written { flags: &["--threads", "-1"], ..Written::default() }.load().unwrap_err();
    let expected = "configuration has 1 fault:\n  --threads: expected a whole number of at least 1, got \"-1\"";
    assert_eq!(faults.to_string(), expected);
}

#[test]
fn overruled_text_must_be_right() {
    let written = Written { file: Some("threads = 0"), flags: &["--threads", "2"], ..Written::default() };
    check_faults(&written, &["merganser.toml:1: \"threads\": expected a whole number of at least 1, got \"0\""]);
}

#[test]
fn missing_file_is_a_fault_of_who_named_it() {
    let flags = flags(&["--config", "no/such.toml"]);
    let nothing = variables(&[]);
    let expected = "  --config: read \"no/such.toml\": No such file or directory (os error 2)";
    assert!(load(&flags, &nothing).unwrap_err().to_string().ends_with(expected));
    let variable = variables(&[(env::CONFIG, "no/such.toml")]);
    let faults = load(&Flags::default(), &variable).unwrap_err();
    assert!(faults.to_string().contains("\n  MERGANSER_CONFIG: read \"no/such.toml\": "), "{faults}");
}

#[test]
fn misspelt_variable_is_a_fault() {
    let variables = &[
        ("MERGANSER_URL", "grpc://localhost:1"),
        ("MERGANSER_MAX_CONNECTION", "1"),
        ("MERGANSER_CONFIGS", "1"),
        ("MERGANSER_XYZZY", "1"),
        ("MERGANSER_", "1"),
        ("MERGANSERS", "1"),
    ];
    let expected = &[
        "MERGANSER_CONFIGS: unknown setting; did you mean \"MERGANSER_CONFIG\"?",
        "MERGANSER_MAX_CONNECTION: unknown setting; did you mean \"MERGANSER_MAX_CONNECTIONS\"?",
    ];
    check_faults(&Written { variables, ..Written::default() }, expected);
}

#[cfg(unix)]
#[test]
fn variable_that_is_not_utf8_is_a_fault() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let broken = OsStr::from_bytes(b"\xff").to_owned();
    let environment = Variables(BTreeMap::from([("MERGANSER_HOME".to_owned(), broken)]));
    let faults = load(&Flags::default(), &environment).unwrap_err();
    assert!(faults.to_string().ends_with("\n  MERGANSER_HOME: expected UTF-8 text"), "{faults}");
}

#[test]
fn unknown_key_is_a_fault_with_a_guess() {
    for (key, guess) in [
        ("lsiten", "listen"),
        ("Listen", "listen"),
        ("memory-limit", "memory_limit"),
        ("memory", "memory_limit"),
        ("log_level", "log"),
        ("catalogue", "catalog"),
    ] {
        let expected = format!("merganser.toml:1: unknown setting \"{key}\"; did you mean \"{guess}\"?");
        check_file(&format!("{key} = 1"), &[&expected]);
    }
    for key in ["ssl", "id", "workers", "config"] {
        check_file(&format!("{key} = 1"), &[&format!("merganser.toml:1: unknown setting \"{key}\"")]);
    }
}

#[test]
fn tables_arrays_and_dates_are_not_values() {
    check_file("home = 1979-05-27", &["merganser.toml:1: \"home\": expected a single value, got a date or time"]);
    check_file("\nhome = ['a', 'b']", &["merganser.toml:2: \"home\": expected a single value, got an array"]);
    check_file("home = {a = 1}", &["merganser.toml:1: \"home\": expected a single value, got a table"]);
    check_file("[[home]]\na = 1", &["merganser.toml:1: \"home\": expected a single value, got an array"]);
    check_file("\n[home]\na = 1", &["merganser.toml:2: \"home\": expected a single value, got a table"]);
    let outside = "settings must be at the top of the file, outside of tables";
    check_file("\n\n[server]\nlog = 1", &[&format!("merganser.toml:3: unknown table \"server\"; {outside}")]);
    check_file("memory.limit = 1", &[&format!("merganser.toml:1: unknown table \"memory\"; {outside}")]);
}

#[test]
fn setting_given_twice_is_a_fault() {
    let expected = [
        "merganser.toml:2: \"threads\": duplicate key, first set on line 1",
        "merganser.toml:4: \"threads\": duplicate key, first set on line 1",
        "merganser.toml:5: \"log\": expected a filter such as info or warn,merganser=debug, got \"\"",
    ];
    check_file("threads = 4\nthreads = 4\n\n\"threads\" = 5\nlog = ''", &expected);
    check_file("home = 'a'\n[home]", &["merganser.toml:2: \"home\": duplicate key"]);
}

#[test]
fn syntax_fault_does_not_hide_the_others() {
    let last = "unknown setting \"last\"";
    for (statement, lines, message) in [
        ("threads 4", 1, "key with no value, expected `=`"),
        ("threads: 4", 1, "key with no value, expected `=`"),
        ("these are some words", 1, "key with no value, expected `=`"),
        ("= 4", 1, "unquoted keys cannot be empty, expected letters, numbers, `-`, `_`"),
        ("threads = many", 1, "string values must be quoted, expected literal string"),
        ("threads =", 1, "string values must be quoted, expected literal string"),
        ("log = \"info", 1, "invalid basic string, expected `\"`"),
        ("log = \"\"\"\ninfo", 2, "invalid multi-line basic string, expected `\"`"),
        ("log = [\n'info',", 2, "unexpected `=` in array, expected value, `]`"),
        ("log = 'info' home = 'a'", 1, "unexpected key or value, expected newline, `#`"),
        ("[server", 1, "unclosed table, expected `]`"),
        ("{}", 1, "invalid key-value pair, expected key"),
    ] {
        let mut expected = vec![format!("merganser.toml:2: invalid TOML: {message}")];
        // What stood inside a string or an array that is never closed is then read as statements of its own.
        if lines == 2 {
            expected.push("merganser.toml:3: invalid TOML: key with no value, expected `=`".to_owned());
        }
        expected.push(format!("merganser.toml:{}: {last}", 2 + lines));
        let faults = Written { file: Some(&format!("\n{statement}\nlast = 1\n")), ..Written::default() }.load();
        let lines: Vec<String> = faults.unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(lines, expected, "{statement}");
    }
}

#[test]
fn file_that_is_no_toml_at_all_ends_the_patience() {
    let faults = Written { file: Some(&"some words\n".repeat(1000)), ..Written::default() }.load().unwrap_err();
    assert!(faults.iter().count() <= 20, "{faults}");
}

#[test]
fn byte_order_mark_and_carriage_returns_are_no_faults() {
    let expected = Settings { log: "warn".to_owned(), ..Settings::default() };
    check(&Written { file: Some("\u{feff}log = 'warn'\r\n\r\n"), ..Written::default() }, &expected);
    check_file(
        "\u{feff}log = 'warn'\r\nlast\r\n",
        &["merganser.toml:2: invalid TOML: key with no value, expected `=`"],
    );
}

// === Values ===

#[test]
fn listen_takes_names_and_addresses() {
    for (text, host, port) in [
        ("localhost:0", "localhost", 0),
        ("0.0.0.0:80", "0.0.0.0", 80),
        ("[::1]:31337", "::1", 31337),
        ("lake_1.example-host.com:65535", "lake_1.example-host.com", 65535),
    ] {
        let listen = HostPort { host: host.to_owned(), port };
        assert_eq!(listen.to_string(), text);
        check_text("listen", text, &Settings { listen, ..Settings::default() });
    }
    let expected = "expected HOST:PORT such as 127.0.0.1:31337 or [::1]:31337, got {}";
    check_refused("listen", &["", "31337", ":31337", "::1:31337", "[::1]", "[x]:1", "a:65536", "grpc://a:1"], expected);
}

#[test]
fn catalog_takes_paths_and_three_schemes() {
    for (text, catalog) in [
        ("lake.ducklake", Catalog::DuckdbFile(std::path::absolute("lake.ducklake").unwrap())),
        ("/data/a:b=c.db", Catalog::DuckdbFile("/data/a:b=c.db".into())),
        ("duckdb:/data/lake.db", Catalog::DuckdbFile("/data/lake.db".into())),
        ("sqlite:/data/lake.db", Catalog::Sqlite("/data/lake.db".into())),
        ("postgres://u:p@h/d", Catalog::Postgres(Postgres::parse("postgres://u:p@h/d").unwrap())),
        ("postgresql:///d", Catalog::Postgres(Postgres::parse("postgresql:///d").unwrap())),
    ] {
        check_text("catalog", text, &Settings { catalog: Some(catalog), ..Settings::default() });
    }
    let expected = "expected a path, duckdb:PATH, sqlite:PATH or postgres://USER@HOST/DATABASE";
    let texts = ["", "mysql://h/d", "postgres:dbname=d", "dbname=d password=p", "sqlite:", "duckdb://h/d", ":memory:"];
    check_refused("catalog", &texts, expected);
    let expected = "read the URI of the catalog: the port is no number; expected \
                    postgres://USER:PASSWORD@HOST:PORT/DATABASE, with %40 and the like for signs that have a meaning";
    check_refused("catalog", &["postgres://ada:hunter2@h:x/d"], expected);
}

#[test]
fn storage_takes_paths_files_and_buckets() {
    for (text, storage) in
        [("../store", Storage::Local("../store".into())), ("file:///data/store", Storage::Local("/data/store".into()))]
    {
        check_text("storage", text, &Settings { storage, ..Settings::default() });
    }
    for (text, bucket, prefix) in
        [("s3://lake-1", "lake-1", ""), ("s3://lake-1/", "lake-1", ""), ("s3://lake-1/a/b=1/", "lake-1", "a/b=1")]
    {
        let storage = Storage::S3 { bucket: bucket.to_owned(), prefix: prefix.to_owned() };
        let written = Written { flags: &["--storage", text], variables: KEYS, ..Written::default() };
        assert_eq!(written.load().unwrap().storage, storage);
    }
    let expected = "expected a path, file:///PATH or s3://BUCKET/PREFIX (without credentials)";
    let texts = ["", "gs://lake", "file://store", "file:store", "s3://", "s3://key:secret@lake/a", "~/store"];
    check_refused("storage", &texts, expected);
    let expected = "escapes such as %20 are not supported in file URIs: use a plain path";
    check_refused("storage", &["file:///my%20data"], expected);
    let expected = "expected s3://BUCKET/PREFIX with a prefix of ASCII letters, digits and -_.=/";
    check_refused(
        "storage",
        &["s3://lake-1/a b", "s3://lake-1/a/../b", "s3://lake-1/a//b", "s3://lake-1/a?b"],
        expected,
    );
}

/// What a storage on S3 needs.
const KEYS: &[(&str, &str)] = &[("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "hunter2")];
const ON_S3: &[&str] = &["--storage", "s3://lake-1"];

#[test]
fn aws_variables_tell_how_s3_is_reached() {
    let load = |more: &[(&str, &str)]| {
        let variables = [KEYS, more].concat();
        Written { flags: ON_S3, variables: &variables, ..Written::default() }.load().unwrap().s3_access
    };
    let plain =
        Access { key_id: "AKIA".into(), secret_key: "hunter2".into(), region: "us-east-1".into(), ..Access::NONE };
    assert_eq!(load(&[("AWS_ENDPOINT_URL", ""), ("AWS_SESSION_TOKEN", "")]), plain);
    let full = Access {
        session_token: Some("token".into()),
        region: "eu-west-1".into(),
        endpoint: Endpoint::parse("https://s3.example.com"),
        ca_bundle: Some("/ca.pem".into()),
        ..plain
    };
    let more = [
        ("AWS_SESSION_TOKEN", "token"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "us-west-2"),
        ("AWS_ENDPOINT_URL", "http://other:9000"),
        ("AWS_ENDPOINT_URL_S3", "https://s3.example.com/"),
        ("AWS_CA_BUNDLE", "/ca.pem"),
    ];
    assert_eq!(load(&more), full);
    assert_eq!(load(&[("AWS_DEFAULT_REGION", "us-west-2")]).region, "us-west-2");
}

#[test]
fn faults_of_aws_variables_name_them_and_no_key() {
    let needed =
        ["AWS_ACCESS_KEY_ID: required for a storage on S3", "AWS_SECRET_ACCESS_KEY: required for a storage on S3"];
    check_faults(&Written { flags: ON_S3, ..Written::default() }, &needed);
    let variables: &[_] = &[
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "hunter2\n"),
        ("AWS_REGION", "eu west"),
        ("AWS_ENDPOINT_URL", "http://AKIA:hunter2@store"),
    ];
    let strange = "contains an invalid character, such as a space or a line break";
    check_faults(
        &Written { flags: ON_S3, variables, ..Written::default() },
        &[
            "AWS_ENDPOINT_URL: expected http://HOST:PORT or https://HOST:PORT",
            &format!("AWS_REGION: {strange}"),
            &format!("AWS_SECRET_ACCESS_KEY: {strange}"),
        ],
    );
    // They are other programs' while the data lies in a folder.
    check(&Written { variables, ..Written::default() }, &Settings::default());
}

#[test]
fn variables_tell_how_hubs_are_reached() {
    let load = |variables| Written { variables, ..Written::default() }.load().unwrap();
    let settings = load(&[
        ("HF_TOKEN", "hf_x\n"),
        ("HF_ENDPOINT", "http://hub:8080/"),
        ("KAGGLE_USERNAME", "u"),
        ("KAGGLE_KEY", "k"),
        ("KAGGLE_API_ENDPOINT", "https://mirror/kaggle"),
    ]);
    let hub = HubAccess { endpoint: "http://hub:8080".into(), credentials: hub::Credentials::bearer("hf_x") };
    assert_eq!(settings.hugging_face, hub);
    let kaggle = KaggleAccess {
        endpoint: "https://mirror/kaggle".into(),
        service: "https://mirror/kaggle".into(),
        credentials: hub::Credentials::basic("u", "k"),
    };
    assert_eq!(settings.kaggle, kaggle);
    let token = load(&[("KAGGLE_USERNAME", "u"), ("KAGGLE_KEY", "k"), ("KAGGLE_API_TOKEN", "t")]).kaggle;
    assert_eq!(token, KaggleAccess { credentials: hub::Credentials::bearer("t"), ..KaggleAccess::PUBLIC });
    check_faults(
        &Written {
            variables: &[
                ("HF_TOKEN", "a\nb"),
                ("HF_ENDPOINT", "https://u:hunter2@hub"),
                ("KAGGLE_API_ENDPOINT", "kaggle"),
            ],
            ..Written::default()
        },
        &[
            "HF_ENDPOINT: expected http://HOST:PORT or https://HOST:PORT",
            "HF_TOKEN: contains an invalid character, such as a line break",
            "KAGGLE_API_ENDPOINT: expected http://HOST:PORT or https://HOST:PORT",
        ],
    );
}

#[test]
fn directories_are_paths() {
    check_text("models", "./a b/c", &Settings { models: Some("./a b/c".into()), ..Settings::default() });
    let expected = "expected the path of a directory (no URI, no \"~\"), got {}";
    for key in ["home", "extensions", "models"] {
        check_refused(key, &["", "~/lake", "s3://bucket", "file:///a"], expected);
    }
}

#[test]
fn memory_limit_takes_both_kinds_of_units() {
    for (text, bytes) in [
        ("1B", 1),
        ("512MB", 512_000_000),
        ("8GB", 8_000_000_000),
        ("8GiB", 8 << 30),
        ("8 gib", 8 << 30),
        ("3kb", 3_000),
        ("2TiB", 2 << 40),
    ] {
        check_text("memory-limit", text, &Settings { memory_limit_bytes: Some(bytes), ..Settings::default() });
    }
    let texts = ["", "8", "0GB", "-8GB", "1.5GB", "8G", "GB", "99999999TB", "8 G B"];
    check_refused("memory-limit", &texts, "expected a size such as 8GB, 8GiB or 512MB, got {}");
}

#[test]
fn numbers_keep_to_their_ranges() {
    check_text("max-connections", "1024", &Settings { max_connections: 1024, ..Settings::default() });
    check_text("grace-seconds", "0", &Settings { grace: Duration::ZERO, ..Settings::default() });
    let result_ttl = Duration::from_hours(24);
    check_text("result-ttl-seconds", "86400", &Settings { result_ttl, ..Settings::default() });
    check_refused("max-connections", &["0", "1025", "1.0"], "expected a whole number from 1 to 1024, got {}");
    let seconds = |range| format!("expected a whole number of seconds from {range}, got {{}}");
    check_refused("grace-seconds", &["3601", "-1", "30s"], &seconds("0 to 3600"));
    check_refused("result-ttl-seconds", &["0", "86401"], &seconds("1 to 86400"));
    check_refused("threads", &["0", "-1", "many", "4.0", " 4"], "expected a whole number of at least 1, got {}");
    check_file(
        "threads = 4.0\ngrace_seconds = 99999999999999999999999999999999999999999",
        &[
            "merganser.toml:1: \"threads\": expected a whole number of at least 1, got \"4.0\"",
            "merganser.toml:2: \"grace_seconds\": expected a whole number of seconds from 0 to 3600, \
             got \"99999999999999999999999999999999999999999\"",
        ],
    );
}

#[test]
fn log_takes_directives() {
    for text in ["debug", "warn, merganser::engine=TRACE", "off,duckdb=3", "[session{user=\"a,b\"}]=debug"] {
        check_text("log", text, &Settings { log: text.to_owned(), ..Settings::default() });
    }
    let expected = "expected a filter such as info or warn,merganser=debug, got {}";
    check_refused("log", &["", ",", "info,", "merganser=loud", "=info", "merganser="], expected);
}

// === Secrets ===

#[test]
fn passwords_are_never_printed() {
    let text = "postgres://merganser:hunter2@db/lake";
    let flags = flags(&["--catalog", text]);
    let settings = load(&flags, &variables(&[])).unwrap();
    let printed = format!("{flags:?} {settings:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
    assert!(printed.contains("catalog: Some(Postgres("), "{printed}");
    for file in [
        "catalog = 'mysql://merganser:hunter2@db/lake'",
        "catalog = 'host=db password=hunter2'",
        "catalog = postgres://merganser:hunter2@db/lake",
        "catalog = 'postgres://merganser:hunter2@db/lake",
        "catalog 'postgres://merganser:hunter2@db/lake'",
        "storage = 's3://merganser:hunter2@bucket/'",
        "catalog = 'postgres://db'\ncatalog = 'postgres://merganser:hunter2@db/lake'",
    ] {
        let faults = Written { file: Some(file), ..Written::default() }.load().unwrap_err();
        assert!(!format!("{faults} {faults:?}").contains("hunter2"), "{faults}");
    }
}

// === Table, help and reference ===

#[test]
fn defaults_of_the_table_parse() {
    assert_eq!(TABLE[0].key, "home");
    for setting in &TABLE {
        if let DefaultValue::Text(text) = setting.default {
            let parsed = setting.set(&mut Settings::default(), &text.replace("<home>", "./lakehouse"));
            assert_eq!(parsed, Ok(()), "{}", setting.key);
        }
    }
}

#[test]
fn help_shows_default_and_variable() {
    let help = Flags::augment_args(Command::new("serve").term_width(200)).render_help().to_string();
    assert!(help.contains("--listen <HOST:PORT>"), "{help}");
    assert!(help.contains("[default: 127.0.0.1:31337] [env: MERGANSER_LISTEN]"), "{help}");
    assert!(help.contains("[default: 60 % of the machine's memory] [env: MERGANSER_MEMORY_LIMIT]"), "{help}");
    for setting in &TABLE {
        assert!(help.contains(setting.help), "{}", setting.key);
    }
}

#[test]
fn reference_equals_the_defaults() {
    let flags = flags(&["--config", concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/reference.toml")]);
    assert_eq!(load(&flags, &variables(&[])), Ok(Settings::default()));
}

#[test]
fn reference_names_every_setting_in_order() {
    // Commented-out settings follow the `#` directly, prose follows a space.
    let is_prose = |line: &str| line.is_empty() || line == "#" || line.starts_with("# ");
    let (settings, _) = REFERENCE.split_once("\n# === Users and tokens ===").unwrap();
    let statements = settings.lines().filter(|line| !is_prose(line));
    let statements: Vec<&str> = statements.map(|line| line.trim_start_matches('#')).collect();
    let keys: Vec<&str> = statements.iter().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    assert_eq!(keys, TABLE.iter().map(|setting| setting.key).collect::<Vec<_>>());
    let statements: Vec<&str> =
        REFERENCE.lines().filter(|line| !is_prose(line)).map(|line| line.trim_start_matches('#')).collect();
    let settings =
        Written { file: Some(&statements.join("\n")), variables: KEYS, ..Written::default() }.load().unwrap();
    assert_eq!((settings.credentials.users(), settings.credentials.tokens()), (1, 1));
    assert_eq!(settings.threads, NonZeroUsize::new(4));
}

#[test]
fn reference_matches_the_help() {
    let (settings, _) = REFERENCE.split_once("\n\n# === Users and tokens ===").unwrap();
    let mut paragraphs = settings.split("\n\n").skip(1);
    for setting in &TABLE {
        let paragraph = paragraphs.next().unwrap();
        assert!(paragraph.starts_with(&format!("# {}.\n", setting.help)), "{paragraph}");
        let is_commented_out = paragraph.contains(&format!("\n#{} = ", setting.key));
        match setting.default {
            DefaultValue::Described(text) => {
                assert!(is_commented_out && paragraph.contains(&format!("\n# Without it: {text}.")), "{paragraph}");
            }
            DefaultValue::Text(text) => assert_eq!(is_commented_out, text.contains("<home>"), "{paragraph}"),
        }
    }
    assert_eq!(paragraphs.next(), None);
}

// === Client ===

#[test]
fn client_variables_come_from_the_environment() {
    let url = |pairs| env::client_variable(&variables(pairs), env::URL);
    assert_eq!(url(&[("MERGANSER_URL", "grpc://localhost:1")]).as_deref(), Some("grpc://localhost:1"));
    assert_eq!(url(&[("MERGANSER_URL", "")]), None);
    assert_eq!(url(&[("MERGANSER_USER", "alice")]), None);
    check(
        &Written { variables: &[(env::TOKEN, "x"), (env::PASSWORD, "x")], ..Written::default() },
        &Settings::default(),
    );
    let variables = &[("MERGANSER_PASWORD", "hunter2")];
    let message = "MERGANSER_PASWORD: unknown setting; did you mean \"MERGANSER_PASSWORD\"?";
    check_faults(&Written { variables, ..Written::default() }, &[message]);
}

// === TLS and credentials ===

#[test]
fn settings_of_tls_come_together() {
    let [cert, key, client_ca] = ["a.crt", "a.key", "b.crt"].map(|path| Some(PathBuf::from(path)));
    let expected = Settings { tls_cert: cert, tls_key: key, tls_client_ca: client_ca, ..Settings::default() };
    let flags: &[_] = &["--tls-cert", "a.crt", "--tls-client-ca", "b.crt"];
    let variables: &[_] = &[("MERGANSER_TLS_KEY", "a.key")];
    check(&Written { flags, variables, ..Written::default() }, &expected);
    check_faults(&Written { flags, ..Written::default() }, &["--tls-cert: requires tls_key"]);
    check_faults(&Written { variables, ..Written::default() }, &["MERGANSER_TLS_KEY: requires tls_cert"]);
    check_file("\ntls_client_ca = 'b.crt'", &["merganser.toml:2: \"tls_client_ca\": requires tls_cert"]);
    check_refused(
        "http",
        &["", "9090", "http://a:1"],
        "expected HOST:PORT such as 127.0.0.1:31337 or [::1]:31337, got {}",
    );
}

const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm8";

#[test]
fn credentials_stand_in_tables() {
    let token = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    for file in [
        format!("log = 'warn'\n[users]\nalice = '{HASH}'\n'jörg m' = '{HASH}'\n[tokens]\nalice = '{token}'"),
        format!("users = {{ alice = '{HASH}', bob = '{HASH}' }}\nlog = 'warn'\ntokens.robot = '{token}'"),
    ] {
        let settings = Written { file: Some(&file), ..Written::default() }.load().unwrap();
        assert_eq!((settings.credentials.users(), settings.credentials.tokens()), (2, 1), "{file}");
        assert_eq!(settings.log, "warn");
    }
    check(&Written { file: Some("[users]\n[tokens]"), ..Written::default() }, &Settings::default());
}

#[test]
fn faults_of_credentials_name_the_line_and_no_secret() {
    let hash = "expected an argon2id hash as \"merganser hash-password\" prints it";
    let token = "expected \"sha256:\" and 64 hexadecimal digits as \"merganser new-token\" prints them";
    let file =
        "[users]\nalice = 'hunter2'\nlog = 'hunter2'\nbob = 42\n'a:b' = 'hunter2'\n[tokens]\nrobot = 'hunter2'\n";
    check_file(
        file,
        &[
            &format!("merganser.toml:2: user \"alice\": {hash}"),
            &format!("merganser.toml:3: user \"log\": {hash}; settings must precede all tables"),
            "merganser.toml:4: user \"bob\": expected a hash as a quoted string",
            "merganser.toml:5: user \"a:b\": expected a name of 1 to 128 bytes without \":\" or control characters",
            &format!("merganser.toml:7: token \"robot\": {token}"),
        ],
    );
    let twice = format!("[users]\nalice = '{HASH}'\nalice = '{HASH}'");
    check_file(&twice, &["merganser.toml:3: \"alice\": duplicate key"]);
    check_file("[user]\na = 'b'", &["merganser.toml:1: unknown table \"user\"; did you mean \"users\"?"]);
    check_file("users = 'alice'", &["merganser.toml:1: \"users\": expected a table of names and hashes"]);
}
