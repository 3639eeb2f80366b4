//! Compiles the C++ of this crate with the headers of DuckDB, which the crate `libduckdb-sys` contains as an archive.
#![expect(clippy::disallowed_methods, reason = "a build script's settings are its environment")]

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use flate2::read::GzDecoder;
use tar::Archive;

const SOURCES: &[&str] = &[
    "collector.cpp",
    "deletions.cpp",
    "depth.cpp",
    "files.cpp",
    "filters.cpp",
    "functions.cpp",
    "joins.cpp",
    "parts.cpp",
    "process.cpp",
    "reads.cpp",
    "register.cpp",
    "stream.cpp",
    "subqueries.cpp",
    "types.cpp",
    "windows.cpp",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=cpp");
    let headers = unpack_headers(&PathBuf::from(env::var("OUT_DIR")?))?;
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .define("NDEBUG", None)
        .flag("-isystem")
        .flag(headers)
        // DuckDB's callbacks have parameters that not every rule needs.
        .flag_if_supported("-Wno-unused-parameter")
        .files(SOURCES.iter().map(|source| Path::new("cpp").join(source)))
        .try_compile("merganser_planner")?;
    Ok(())
}

/// Unpacks the headers into `out`, unless they are there, and returns their directory.
fn unpack_headers(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let headers = out.join("duckdb/src/include");
    let complete = out.join("headers-are-complete");
    if complete.is_file() {
        return Ok(headers);
    }
    let archive = package_directory("libduckdb-sys")?.join("duckdb.tar.gz");
    let file = fs::File::open(&archive).map_err(|err| format!("open {}: {err}", archive.display()))?;
    for entry in Archive::new(GzDecoder::new(file)).entries()? {
        let mut entry = entry?;
        if entry.path()?.starts_with("duckdb/src/include") {
            entry.unpack_in(out)?;
        }
    }
    fs::write(complete, "")?;
    Ok(headers)
}

/// The directory of a dependency's source.
fn package_directory(name: &str) -> Result<PathBuf, Box<dyn Error>> {
    let output = Command::new(env::var("CARGO")?)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", &env::var("TARGET")?])
        .current_dir(env::var("CARGO_MANIFEST_DIR")?)
        .output()?;
    if !output.status.success() {
        return Err(format!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let mut manifests = packages.filter(|package| package["name"] == name).filter_map(|p| p["manifest_path"].as_str());
    let manifest = manifests.next().ok_or_else(|| format!("no package {name}"))?;
    Ok(Path::new(manifest).parent().unwrap_or(Path::new("")).to_owned())
}
