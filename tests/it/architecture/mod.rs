//! The rules of ARCHITECTURE.md, read off the sources.
//!
//! `rules.rs` has the rules; `imports.rs` and `tokens.rs` read what a file names, `modules.rs` finds out what that is,
//! `cycles.rs` looks for circles, and `planted.rs` tests all of them with faults. What no path names is not seen:
//! methods, fields, inferred types.

mod cycles;
mod imports;
mod modules;
mod planted;
mod rules;
mod scope;
mod tokens;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use self::modules::Modules;

/// The repository; another one if that is named when the tests are built.
fn root() -> PathBuf {
    PathBuf::from(option_env!("ARCHITECTURE_ROOT").unwrap_or(env!("CARGO_MANIFEST_DIR")))
}

/// All Rust files of `src`, by their names below it.
static FILES: LazyLock<BTreeMap<String, String>> = LazyLock::new(|| {
    let source = root().join("src");
    let mut files = BTreeMap::new();
    let mut folders = vec![source.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.insert(name_below(&source, &path), fs::read_to_string(&path).unwrap());
            }
        }
    }
    files
});

fn name_below(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap().display().to_string()
}

static MODULES: LazyLock<Modules> = LazyLock::new(|| {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    let crates = manifest["dependencies"].as_table().unwrap().keys().map(|name| name.replace('-', "_"));
    Modules::new(&FILES, crates)
});

#[track_caller]
fn check_none<T: Display>(faults: &[T]) {
    let told: Vec<_> = faults.iter().map(|fault| format!("\n{fault}")).collect();
    assert!(faults.is_empty(), "{} faults:{}", faults.len(), told.concat());
}

#[test]
fn heavy_dependencies_have_one_module_that_knows_them() {
    check_none(&rules::crate_faults(&MODULES));
    check_none(&rules::word_faults(&MODULES, rules::WRITTEN));
}

#[test]
fn layers_know_only_what_lies_below_them() {
    check_none(&rules::layer_faults(&MODULES));
}

#[test]
fn the_engine_does_not_know_what_a_lake_is() {
    check_none(&rules::word_faults(&MODULES, rules::LAKE_WRITTEN));
}

#[test]
fn no_files_form_a_circle() {
    check_none(&cycles::of_files(&MODULES));
}

#[test]
fn no_modules_form_a_circle() {
    check_none(&cycles::of_modules(&MODULES));
}

#[test]
fn every_file_is_a_module() {
    check_none(&MODULES.strays);
}

#[test]
fn every_module_has_a_rule() {
    let ruled: BTreeSet<_> = rules::LAYERS.iter().map(|layer| layer.place).collect();
    let modules = declared_modules();
    let without: Vec<_> = modules.iter().filter(|module| !ruled.contains(module.as_str())).collect();
    check_none(&without);
}

#[test]
fn every_rule_names_a_module() {
    check_none(&rules::rules_about_nothing(&MODULES));
}

/// The modules of `lib.rs`, in the order of their lines.
fn declared_modules() -> Vec<String> {
    let items = syn::parse_file(&FILES["lib.rs"]).unwrap().items;
    let modules = items.into_iter().filter_map(|item| if let syn::Item::Mod(item) = item { Some(item) } else { None });
    modules.map(|module| module.ident.to_string()).collect()
}

#[test]
fn every_module_is_in_the_map_in_reading_order() {
    let map = FILES["lib.rs"].lines().filter(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n");
    let layout = map.split_once("# Layout").unwrap().1;
    let named = layout.split("[`").skip(1).map(|rest| rest.split_once("`]").unwrap().0);
    assert_eq!(declared_modules(), named.collect::<Vec<_>>(), "left: the modules of src/lib.rs, right: its `# Layout`");
}

#[test]
fn files_stay_small() {
    for (file, text) in FILES.iter() {
        let generated = file == "proto/merganser.v1.rs";
        let lines = text.lines().count();
        assert!(lines <= 500 || generated || MODULES.is_test(file), "src/{file} has {lines} lines; split it by nouns");
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
