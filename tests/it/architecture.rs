//! The rules of ARCHITECTURE.md, read off the sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`, relative to `src`, with their code: comments and unit tests left out.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root().join("src")).unwrap().display().to_string();
            found.push((name, code(&fs::read_to_string(&path).unwrap())));
        }
    }
    found
}

fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn is_test(file: &str) -> bool {
    file.contains("tests/") || file.ends_with("tests.rs")
}

/// Nothing but files that start with one of `allowed` may contain one of `words`.
#[track_caller]
fn check_only(allowed: &[&str], words: &[&str]) {
    for (file, code) in sources(&root().join("src")) {
        if is_test(&file) || allowed.iter().any(|allowed| file.starts_with(allowed)) {
            continue;
        }
        for word in words {
            assert!(!code.contains(word), "src/{file} names {word}; only {allowed:?} may");
        }
    }
}

/// The module `from` may not use any of `others`.
#[track_caller]
fn check_never(from: &[&str], others: &[&str]) {
    for (file, code) in sources(&root().join("src")) {
        let module = file.split(['/', '.']).next().unwrap();
        if is_test(&file) || !from.contains(&module) {
            continue;
        }
        // Imports stand in trees, whose inner lines begin with the module's name.
        for other in others.iter().filter(|other| **other != module) {
            let direct = format!("crate::{other}");
            let in_tree =
                [format!("    {other}::"), format!("    {other},"), format!("{{{other}::"), format!(", {other}::")];
            let imports = code.split("\nuse crate::{").nth(1).and_then(|rest| rest.split("};").next()).unwrap_or("");
            let imports = format!("\n{imports}");
            let named = code.contains(&format!("{direct}::")) || code.contains(&format!("{direct};"));
            let treed = in_tree.iter().any(|pattern| {
                imports.contains(&format!("\n{pattern}")) || imports.starts_with(&format!("\n{}", pattern.trim_start()))
            });
            assert!(!named && !treed, "src/{file} uses {other}, which its layer may not know");
        }
    }
}

const EDGE: &[&str] = &["cli", "client", "server", "flight", "config"];
const USE: &[&str] = &["session", "actions"];
const DOMAIN: &[&str] = &["backup", "lake", "ingest", "medallion", "media", "sample"];
const ADAPTERS: &[&str] = &["engine", "storage", "telemetry"];
const WORDS: &[&str] = &["error", "ids", "quote", "context"];

#[test]
fn heavy_dependencies_have_one_module_that_knows_them() {
    check_only(&["engine/"], &["duckdb::", "libduckdb"]);
    check_only(&["engine/duckdb/"], &["unsafe {", "unsafe fn", "unsafe impl"]);
    check_only(&["flight/", "client/", "server/"], &["tonic::", "arrow_flight::"]);
    check_only(&["storage/"], &["object_store::"]);
    check_only(&["cli/", "config/"], &["clap::"]);
    check_only(&["config/env.rs"], &["env::var"]);
    check_only(&["auth/"], &["argon2::", "subtle::"]);
    check_only(&["server/"], &["axum::"]);
    check_only(&["server/", "storage/s3.rs"], &["rustls::"]);
    check_only(&["telemetry/"], &["metrics_exporter_prometheus", "counter!(", "gauge!(", "histogram!("]);
    check_only(&["flight/status.rs"], &["Status::new"]);
}

#[test]
fn layers_know_only_what_lies_below_them() {
    let all: Vec<_> = [EDGE, USE, DOMAIN, ADAPTERS, &["auth", "jobs", "proto"]].concat();
    check_never(WORDS, &all);
    check_never(&["auth"], &all);
    check_never(ADAPTERS, &[EDGE, USE, DOMAIN, &["auth", "jobs", "proto"]].concat());
    check_never(DOMAIN, &[EDGE, USE, &["auth", "proto"]].concat());
    check_never(&["jobs"], &[EDGE, USE, DOMAIN, ADAPTERS, &["auth"]].concat());
    check_never(&["session"], &[EDGE, &["actions", "auth", "ingest", "medallion", "proto"]].concat());
    check_never(&["actions"], &[EDGE, &["auth", "session"]].concat());
    check_never(&["flight"], &["cli", "client", "server", "config", "ingest", "medallion", "storage"]);
}

#[test]
fn every_module_is_in_the_map() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let name = entry.unwrap().file_name().to_string_lossy().replace(".rs", "");
        if ["lib", "main"].contains(&name.as_str()) {
            continue;
        }
        assert!(map.contains(&format!("[`{name}`]")), "src/lib.rs does not tell of {name}");
    }
}

#[test]
fn files_stay_small() {
    for (file, _) in sources(&root().join("src")) {
        let generated = file == "proto/merganser.v1.rs";
        let lines = fs::read_to_string(root().join("src").join(&file)).unwrap().lines().count();
        assert!(lines <= 500 || generated || is_test(&file), "src/{file} has {lines} lines; split it by nouns");
    }
}

#[test]
fn there_is_one_arrow() {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    for name in ["arrow", "arrow-flight", "tonic", "prost"] {
        let count = lock.matches(&format!("\nname = \"{name}\"\n")).count();
        assert_eq!(count, 1, "{count} versions of {name} in Cargo.lock");
    }
}
