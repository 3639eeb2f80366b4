//! Tells the program where to find libduckdb and its extensions.
#![expect(clippy::disallowed_methods, reason = "a build script's settings are its environment")]

use std::{env, path::Path};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=DUCKDB_LIB_DIR");
    let here = if env::var("CARGO_CFG_TARGET_OS").is_ok_and(|os| os == "macos") { "@loader_path" } else { "$ORIGIN" };
    // An installed program finds its library beside it or in ../lib.
    for folder in [here.to_owned(), format!("{here}/../lib/merganser")] {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
    // A program of a checkout finds what scripts/fetch-duckdb.sh fetched.
    let fetched = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap_or_default()).join(".deps/duckdb");
    let library = env::var("DUCKDB_LIB_DIR").unwrap_or_else(|_| fetched.join("lib").display().to_string());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{library}");
    println!("cargo:rustc-env=DUCKDB_BUILD_EXTENSIONS={}", fetched.join("extensions").display());
}
