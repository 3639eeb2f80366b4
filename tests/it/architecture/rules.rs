//! The rules of `ARCHITECTURE.md` as tables, and the check of each table.
//!
//! A place is a module with all that lies in it: `storage::s3`. Tests are under no rule.

use std::collections::BTreeMap;

use super::{
    modules::{End, Follow, Modules},
    scope::{Role, Scope},
};

/// A module, by its path from the crate's root.
pub type Place = &'static str;

/// What a module may name of the others.
#[derive(Debug)]
pub struct Layer {
    pub place: Place,
    pub names: &'static [&'static [Place]],
}

impl Layer {
    pub fn names(&self) -> impl Iterator<Item = Place> {
        self.names.iter().copied().flatten().copied()
    }
}

const WORDS: &[Place] = &["error", "ids", "quote", "context"];
const EDGE: &[Place] = &["cli", "client", "config", "server", "flight"];
const USE: &[Place] = &["session", "query", "write", "actions", "jobs"];
const DOMAIN: &[Place] = &["sql", "lake", "ingest", "export", "publish", "backup", "medallion", "media"];
const ADAPTERS: &[Place] = &["engine", "storage", "hub", "telemetry"];

/// What statements may name of the domain: no module that fills or derives tables.
const LAKE: &[Place] = &["sql", "lake", "backup", "media"];

/// One row a module, in reading order; the row of the innermost place holds. What a row does not list is forbidden.
pub const LAYERS: &[Layer] = &[
    // Plain words.
    Layer { place: "error", names: &[WORDS] },
    Layer { place: "ids", names: &[WORDS] },
    Layer { place: "quote", names: &[WORDS] },
    Layer { place: "context", names: &[WORDS] },
    Layer { place: "proto", names: &[WORDS] },
    // Edge. Sessions are found by flight and made by the server, nowhere else.
    Layer { place: "main", names: &[&["cli"]] },
    Layer { place: "cli", names: &[WORDS, EDGE, DOMAIN, ADAPTERS, &["proto", "actions", "jobs", "auth"]] },
    Layer { place: "client", names: &[WORDS, &["proto"]] },
    Layer { place: "config", names: &[WORDS, DOMAIN, ADAPTERS, &["auth"]] },
    Layer { place: "server", names: &[WORDS, USE, DOMAIN, ADAPTERS, &["config", "flight", "proto", "auth"]] },
    Layer { place: "flight", names: &[WORDS, USE, &["proto", "auth", "engine", "telemetry"]] },
    Layer { place: "flight::metadata", names: &[WORDS, USE, &["proto", "engine", "telemetry", "sql", "lake"]] },
    // Use. Queries and writes lie above sessions; beside each other, in one direction.
    Layer { place: "session", names: &[WORDS, LAKE, ADAPTERS, &["jobs"]] },
    Layer { place: "query", names: &[WORDS, LAKE, ADAPTERS, &["session", "write", "jobs"]] },
    Layer { place: "write", names: &[WORDS, LAKE, ADAPTERS, &["session", "query", "jobs"]] },
    // Actions that are given a query ask the guard of queries.
    Layer { place: "actions", names: &[WORDS, DOMAIN, ADAPTERS, &["proto", "session", "query", "jobs"]] },
    Layer { place: "jobs", names: &[WORDS, &["proto"]] },
    // Domain. Long work of it tells its progress to jobs.
    Layer { place: "sql", names: &[&["error", "quote"]] },
    Layer { place: "lake", names: &[WORDS, DOMAIN, ADAPTERS, &["proto", "jobs"]] },
    Layer { place: "ingest", names: &[WORDS, DOMAIN, ADAPTERS, &["jobs"]] },
    Layer { place: "export", names: &[WORDS, DOMAIN, ADAPTERS, &["jobs"]] },
    Layer { place: "publish", names: &[WORDS, DOMAIN, ADAPTERS, &["jobs"]] },
    Layer { place: "backup", names: &[WORDS, DOMAIN, ADAPTERS, &["jobs"]] },
    Layer { place: "medallion", names: &[WORDS, DOMAIN, ADAPTERS, &["proto", "jobs"]] },
    Layer { place: "media", names: &[WORDS, DOMAIN, ADAPTERS, &["jobs"]] },
    Layer { place: "auth", names: &[WORDS] },
    // Adapters.
    Layer { place: "engine", names: &[WORDS] },
    Layer { place: "storage", names: &[WORDS] },
    Layer { place: "hub", names: &[WORDS] },
    Layer { place: "telemetry", names: &[WORDS] },
];

/// Items of other crates that only some places may name, also through a re-export.
#[derive(Debug)]
pub struct Owned {
    pub items: &'static [&'static str],
    pub places: &'static [Place],
}

pub const OWNED: &[Owned] = &[
    Owned { items: &["duckdb", "libduckdb_sys"], places: &["engine"] },
    Owned { items: &["tonic", "tonic_health", "tonic_prost", "arrow_flight"], places: &["flight", "client", "server"] },
    Owned { items: &["object_store"], places: &["storage"] },
    Owned { items: &["reqwest"], places: &["hub"] },
    Owned { items: &["xet"], places: &["hub::hugging_face"] },
    Owned { items: &["clap"], places: &["cli", "config"] },
    Owned { items: &["merganser_sample"], places: &["cli"] },
    Owned {
        items: &["std::env::var", "std::env::var_os", "std::env::vars", "std::env::vars_os"],
        places: &["config::env"],
    },
    Owned { items: &["argon2", "subtle"], places: &["auth"] },
    Owned { items: &["axum"], places: &["server"] },
    Owned { items: &["rustls", "tokio_rustls"], places: &["server", "storage::s3", "hub::http"] },
    Owned { items: &["metrics", "metrics_exporter_prometheus"], places: &["telemetry"] },
    Owned { items: &["tonic::Status::new"], places: &["flight::status"] },
];

/// Modules that compute and do nothing else: the only crates that they name.
#[derive(Debug)]
pub struct Pure {
    pub place: Place,
    pub crates: &'static [&'static str],
}

pub const PURE: &[Pure] = &[
    Pure { place: "sql", crates: &["std", "core", "alloc"] },
    Pure {
        place: "media",
        crates: &["std", "core", "alloc", "bytes", "crc32fast", "image", "imagesize", "memchr", "sha2", "zune_jpeg"],
    },
];

/// Parts of the standard library that reach outside; nothing pure names them.
pub const OUTSIDE: &[&str] = &["std::env", "std::fs", "std::net", "std::os", "std::process", "std::thread"];

/// Words that only some places may write.
#[derive(Debug)]
pub struct Written {
    pub word: &'static str,
    /// Whether it is an identifier, and the whole of one; else part of an identifier or string, in any case.
    pub is_identifier: bool,
    /// Where the rule holds; empty for everywhere.
    pub within: Place,
    pub places: &'static [Place],
}

pub const WRITTEN: &[Written] = &[
    Written { word: "unsafe", is_identifier: true, within: "", places: &["engine::duckdb"] },
    Written { word: "libduckdb", is_identifier: false, within: "", places: &["engine"] },
];

/// What a lake is, the engine does not know.
pub const LAKE_WRITTEN: &[Written] = &[
    Written { word: "ducklake", is_identifier: false, within: "engine", places: &["engine::extensions"] },
    Written { word: "lake.", is_identifier: false, within: "engine", places: &["engine::extensions"] },
];

/// The modules that name what their layer does not know.
pub fn layer_faults(modules: &Modules) -> Vec<String> {
    let mut faults = Faults::default();
    for (index, name) in modules.names() {
        let scope = &modules.scopes[index];
        let Some(own) = scope.path.first() else { continue };
        let layers = LAYERS.iter().filter(|layer| contains(layer.place, &scope.path));
        let layer = layers.max_by_key(|layer| layer.place.len());
        for end in modules.resolve(index, &name.path, Follow::Within(own)) {
            let End::Here { path, .. } = end else { continue };
            if path.first().is_none_or(|other| other == own) {
                continue;
            }
            match layer {
                None => faults.add(scope, name.line, format!("{own} has no rule")),
                Some(layer) if layer.names().any(|place| contains(place, &path)) => {}
                Some(layer) => {
                    let place = layer.place;
                    faults.add(scope, name.line, format!("{place} names {}, which its layer may not know", path[0]));
                }
            }
        }
    }
    faults.told()
}

/// The modules that name what is another's of the crates around.
pub fn crate_faults(modules: &Modules) -> Vec<String> {
    let mut faults = Faults::default();
    for (index, name) in modules.names() {
        let scope = &modules.scopes[index];
        for end in modules.resolve(index, &name.path, Follow::Everywhere) {
            let End::Crate(path) = end else { continue };
            // One word that is not imported is a variable or a field.
            if path.len() == 1 && name.role == Role::Use {
                continue;
            }
            for Owned { items, places } in OWNED {
                let item = items.iter().find(|item| contains(item, &path));
                if let (Some(item), false) = (item, places.iter().any(|place| contains(place, &scope.path))) {
                    faults.add(scope, name.line, format!("names {item}; only {} may", places.join(", ")));
                }
            }
            for Pure { place, crates } in PURE.iter().filter(|pure| contains(pure.place, &scope.path)) {
                let outside = OUTSIDE.iter().any(|outside| contains(outside, &path));
                if outside || !crates.iter().any(|allowed| contains(allowed, &path)) {
                    faults.add(scope, name.line, format!("names {}; {place} only computes", path.join("::")));
                }
            }
        }
    }
    faults.told()
}

/// The modules that write what is another's.
pub fn word_faults(modules: &Modules, rules: &[Written]) -> Vec<String> {
    let mut faults = Faults::default();
    for scope in modules.scopes.iter().filter(|scope| !scope.is_test) {
        let binds = |rule: &&Written| {
            contains(rule.within, &scope.path) && !rule.places.iter().any(|place| contains(place, &scope.path))
        };
        for rule in rules.iter().filter(binds) {
            for word in &scope.words {
                let is_it = if rule.is_identifier {
                    !word.is_string && word.text == rule.word
                } else {
                    word.text.to_lowercase().contains(rule.word)
                };
                if is_it {
                    let places = rule.places.join(", ");
                    faults.add(
                        scope,
                        word.line,
                        format!("writes `{}` in {:?}; only {places} may", rule.word, word.text),
                    );
                }
            }
        }
    }
    faults.told()
}

/// Rules about places that are not there.
pub fn rules_about_nothing(modules: &Modules) -> Vec<Place> {
    let owned = OWNED.iter().flat_map(|rule| rule.places).copied();
    let written = [WRITTEN, LAKE_WRITTEN].into_iter().flatten();
    let written = written.flat_map(|rule| rule.places.iter().copied().chain([rule.within]));
    let layers = LAYERS.iter().flat_map(|rule| rule.names().chain([rule.place]));
    let places = layers.chain(owned).chain(PURE.iter().map(|rule| rule.place)).chain(written);
    let mut missing: Vec<_> = places.filter(|place| !modules.has(&segments(place))).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

/// The segments of a place; none for the crate's root.
pub fn segments(place: &str) -> Vec<String> {
    place.split("::").filter(|segment| !segment.is_empty()).map(String::from).collect()
}

/// Whether `path` begins with all of `place`.
fn contains(place: &str, path: &[String]) -> bool {
    path.starts_with(&segments(place))
}

/// Faults by file, each once, with the first line that shows it.
#[derive(Default)]
struct Faults(BTreeMap<(String, String), usize>);

impl Faults {
    fn add(&mut self, scope: &Scope, line: usize, text: String) {
        let first = self.0.entry((scope.file.clone(), text)).or_insert(line);
        *first = line.min(*first);
    }

    fn told(self) -> Vec<String> {
        self.0.into_iter().map(|((file, text), line)| format!("src/{file}:{line}: {text}")).collect()
    }
}
