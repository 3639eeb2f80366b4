//! Compiles the C++ of this crate with the headers of DuckDB, which the crate `libduckdb-sys` contains as an archive.
#![expect(clippy::disallowed_methods, reason = "a build script's settings are its environment")]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::read::GzDecoder;
use tar::Archive;

const SOURCES: &[&str] = &["filters.cpp", "register.cpp", "types.cpp", "windows.cpp"];

fn main() {
    println!("cargo:rerun-if-changed=cpp");
    let out = PathBuf::from(variable("OUT_DIR"));
    let headers = unpack_headers(&out);
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .define("NDEBUG", None)
        .flag("-isystem")
        .flag(headers)
        // DuckDB's headers declare the parameters of all virtual functions.
        .flag_if_supported("-Wno-unused-parameter")
        .files(SOURCES.iter().map(|source| Path::new("cpp").join(source)))
        .compile("merganser_planner");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}

/// Unpacks the headers into `out`, unless they are there, and returns their directory.
fn unpack_headers(out: &Path) -> PathBuf {
    let headers = out.join("duckdb/src/include");
    let complete = out.join("headers-are-complete");
    if complete.is_file() {
        return headers;
    }
    let archive = package_directory("libduckdb-sys").join("duckdb.tar.gz");
    let file = fs::File::open(&archive).unwrap_or_else(|err| panic!("open {}: {err}", archive.display()));
    for entry in Archive::new(GzDecoder::new(file)).entries().expect("read the archive of DuckDB") {
        let mut entry = entry.expect("read the archive of DuckDB");
        if entry.path().is_ok_and(|path| path.starts_with("duckdb/src/include")) {
            entry.unpack_in(out).expect("unpack the headers of DuckDB");
        }
    }
    fs::write(complete, "").expect("write to the output directory");
    headers
}

/// The directory of a dependency's source.
fn package_directory(name: &str) -> PathBuf {
    let output = Command::new(variable("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(variable("CARGO_MANIFEST_DIR"))
        .output()
        .expect("run cargo metadata");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)));
    let packages = metadata["packages"].as_array().expect("a list of packages");
    let package = packages.iter().find(|package| package["name"] == name).expect("the dependency exists");
    let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
    manifest.parent().expect("a directory").to_owned()
}
