//! Tests of the tests: each rule is broken here in a small crate, and must say so.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    check_none, cycles,
    modules::Modules,
    rules::{
        LAKE_WRITTEN, LAYERS, OUTSIDE, OWNED, PURE, WRITTEN, crate_faults, layer_faults, rules_about_nothing, segments,
        word_faults,
    },
};

/// A crate of these modules, with their texts, and of all that the rules speak of.
fn crate_of(planted: &[(&str, &str)]) -> Modules {
    let mut texts = BTreeMap::<Vec<String>, String>::new();
    let ruled = LAYERS.iter().filter(|layer| layer.place != "main").map(|layer| (layer.place, "pub struct Thing;\n"));
    for (module, text) in ruled.chain(planted.iter().copied()) {
        texts.entry(segments(module)).or_default().push_str(text);
    }
    let paths: Vec<_> = texts.keys().flat_map(|path| (0..path.len()).map(|length| path[..length].to_vec())).collect();
    for path in paths {
        texts.entry(path).or_default();
    }
    let declared: Vec<_> = texts.keys().filter_map(|path| Some((path.split_last()?, path))).collect();
    let children = declared.iter().map(|((name, parent), _)| (parent.to_vec(), format!("pub mod {name};\n")));
    let children: Vec<_> = children.collect();
    let mut files = BTreeMap::new();
    for (path, text) in &texts {
        let declarations: String =
            children.iter().filter(|(parent, _)| parent == path).map(|(_, line)| &**line).collect();
        let file = match (path.join("/"), declarations.is_empty()) {
            (path, _) if path.is_empty() => "lib.rs".to_owned(),
            (path, true) => format!("{path}.rs"),
            (path, false) => format!("{path}/mod.rs"),
        };
        files.insert(file, declarations + text);
    }
    let items = OWNED.iter().flat_map(|owned| owned.items);
    let crates = items.map(|item| segments(item).swap_remove(0)).chain(["tokio", "futures", "serde"].map(String::from));
    Modules::new(&files, crates)
}

/// All faults of the crate but for circles.
fn faults(modules: &Modules) -> Vec<String> {
    let words = [WRITTEN, LAKE_WRITTEN].map(|rules| word_faults(modules, rules)).concat();
    [layer_faults(modules), crate_faults(modules), words].concat()
}

/// `text` in `module` is a fault that `told` is a part of.
#[track_caller]
fn check(module: &str, text: &str, told: &str) {
    let found = faults(&crate_of(&[(module, text)]));
    assert!(found.iter().any(|fault| fault.contains(told)), "{module}: {text}\ngives {found:?}, but not: {told}");
}

/// `text` in `module` is no fault.
#[track_caller]
fn check_allowed(module: &str, text: &str) {
    let found = faults(&crate_of(&[(module, text)]));
    assert!(found.is_empty(), "{module}: {text}\ngives {found:?}");
}

#[test]
fn each_layer_is_held_to_its_row() {
    let tops: BTreeSet<_> = LAYERS.iter().map(|layer| layer.place).filter(|place| !place.contains("::")).collect();
    for layer in LAYERS.iter().filter(|layer| layer.place != "main") {
        let own = segments(layer.place).swap_remove(0);
        let up = "super::".repeat(segments(layer.place).len() + 1);
        let others = tops.iter().filter(|other| **other != own && **other != "main");
        let (allowed, forbidden): (Vec<_>, Vec<_>) =
            others.partition(|other| layer.names().any(|name| name == **other));
        let texts = |other: &str| {
            let inside = |form: &str| format!("{}::by_{form}_{other}", layer.place);
            [
                (inside("group"), format!("use crate::{{error::Result, {other}::{{Thing as Renamed}}}};")),
                (inside("climbing"), format!("fn take(_: {up}{other}::Thing) {{}}")),
                (inside("macro"), format!("fn give() {{ print!(\"{{}}\", crate::{other}::Thing) }}")),
            ]
        };
        let plant = |others: &[&&str]| {
            let texts: Vec<_> = others.iter().flat_map(|other| texts(other)).collect();
            let texts: Vec<_> = texts.iter().map(|(module, text)| (&**module, &**text)).collect();
            (layer_faults(&crate_of(&texts)), texts.len())
        };
        // The group imports an error, which not everything may.
        let (found, planted) = plant(&forbidden);
        let named =
            found.iter().filter(|fault| forbidden.iter().any(|other| fault.contains(&format!("names {other},"))));
        assert_eq!(named.count(), planted, "{}: {found:?}", layer.place);
        check_none(&plant(&allowed).0);
    }
}

#[test]
fn each_item_is_held_to_its_places() {
    for owned in OWNED {
        for item in owned.items {
            let told = format!("names {item};");
            for text in [
                format!("fn call() {{ {item}::planted(); }}"),
                format!("fn call() {{ print!(\"{{}}\", {item}::planted()) }}"),
                format!("use ::{item} as renamed;"),
                format!("use {item}::{{self, planted as other}};"),
                format!("mod inner {{ fn give() -> {item}::Planted {{ super::unknown() }} }}"),
                format!("#[serde(with = \"{item}::planted\")] struct Planted;"),
                format!("macro_rules! make {{ () => {{ {item}::planted!() }} }}"),
            ] {
                check("jobs::planted", &text, &told);
                for place in owned.places {
                    let found = crate_faults(&crate_of(&[(place, &text)]));
                    assert!(!found.iter().any(|fault| fault.contains(&told)), "{place}: {text}\ngives {found:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_pure_names_nothing_that_reaches_outside() {
    for pure in PURE {
        for outside in OUTSIDE.iter().chain(&["tokio", "object_store", "duckdb", "futures"]) {
            let told = format!("{} only computes", pure.place);
            check(&format!("{}::planted", pure.place), &format!("use {outside}::planted;"), &told);
        }
        check_allowed(pure.place, "use std::{collections::BTreeMap, fmt};");
    }
}

#[test]
fn names_are_seen_however_they_are_written() {
    let session = "names session, which";
    for text in [
        "use crate::{error::Result, session::Sessions};",
        "use crate::{\n    error::Result,\n    session::{registry::Sessions, Session as Held},\n};",
        "use crate::session;",
        "use super::super::session::Sessions;",
        "fn f() { super::super::session::Sessions::new(); }",
        "mod inner { use super::super::super::session::Sessions; }",
        "mod inner { pub(super) fn f(_: &[crate::session::Session]) {} }",
        "use crate as root; fn f() { root::session::open() }",
        "use super::super as up; use up::session as held;",
        "use crate::*; fn f() { session::open() }",
        "fn f() { use crate::session::Sessions; }",
        "fn f() { let _ = <crate::session::Session as Clone>::clone; }",
        "fn f() { match 1 { crate::session::ONE => {}, _ => {} } }",
        "fn f() { vec![1, crate::session::ONE]; }",
        "fn f() { select! { _ = crate :: session :: closed() => {} } }",
        "macro_rules! m { () => { use $crate::{error::Result, session::{self, Session}}; } }",
        "#[derive(crate::session::Derived)] struct S;",
        "struct S { #[serde(with = \"crate::session::seconds\")] f: u8 }",
        "impl crate::session::Held for u8 {}",
        "#[cfg(not(test))] use crate::session::Sessions;",
        "#[cfg(any(test, feature = \"more\"))] use crate::session::Sessions;",
        "use merganser::session::Sessions;",
    ] {
        check("lake::planted", text, session);
    }
    check("flight::planted", "fn f() { unsafe_free(duckdb::ffi::duckdb_open) }", "names duckdb;");
    check("session::planted", "fn f() { assert!(matches!(x, Err(tonic::Code::Ok))) }", "names tonic;");
    check("session::planted", "extern crate tonic as t;", "names tonic;");
    check("session::planted", "use tonic as t; mod inner { use super::t::Code; }", "names tonic;");
    check("session::planted", "fn metrics() {} fn f() { metrics::counter!(\"x\") }", "names metrics;");
    check("flight::planted", "use tonic::Status as Answer; fn f() { Answer::new(1) }", "names tonic::Status::new;");
    check("lake", "use std::env; fn f() { env::var(\"X\") }", "names std::env::var;");
    let through = [("engine", "pub use duckdb::ffi;"), ("lake", "use crate::engine::ffi;")];
    let found = crate_faults(&crate_of(&through));
    assert_eq!(found.len(), 1, "a re-export is its crate: {found:?}");
}

#[test]
fn tests_comments_and_other_things_of_the_name_are_no_faults() {
    for text in [
        "#[cfg(test)] mod tests { use crate::session::Sessions; use duckdb::ffi; fn f() { unsafe {} } }",
        "#[cfg(all(test, unix))] fn f(_: crate::session::Session) {}",
        "struct S; impl S { #[cfg(test)] fn f(_: crate::session::Session) {} }",
        "// use crate::session::Sessions; unsafe {}\n/// [`crate::session`], duckdb::ffi\nstruct S;",
        "const TEXT: &str = \"crate::session::Sessions duckdb::ffi\";",
        "fn f(duckdb: u8) { info!(duckdb, metrics = 1); s.session.tonic() }",
        "mod duckdb { pub struct T; } use self::duckdb::T; fn f() { duckdb::T; }",
        "mod session { pub struct T; } use session::T;",
        "#[expect(unsafe_code, reason = \"libduckdb is C\")] struct S;",
    ] {
        check_allowed("lake::planted", text);
    }
    let tests =
        [("lake::planted", "#[cfg(test)] mod tests;"), ("lake::planted::tests", "use crate::session::Session;")];
    check_none(&layer_faults(&tested(&tests)));
}

/// As [`crate_of`], where the first module declares the second by itself.
fn tested(planted: &[(&str, &str); 2]) -> Modules {
    let name = |module: &str| format!("{}.rs", module.replace("::", "/"));
    let files = [("lib.rs".to_owned(), "mod lake { mod planted; }".to_owned())];
    let planted = planted.iter().map(|(module, text)| (name(module), (*text).to_owned()));
    Modules::new(&files.into_iter().chain(planted).collect(), [])
}

#[test]
fn words_are_seen_in_strings_and_identifiers() {
    let lake = "only engine::extensions may";
    for text in [
        "const SQL: &str = \"SELECT lake.x\";",
        "const SQL: &[u8] = b\"select * from LAKE.x\";",
        "fn f() { format!(\"{x} in DuckLake\") }",
        "fn ducklake_files() {}",
        "struct DuckLakeFiles;",
        "use crate::error::{Error as DuckLakeError};",
        "fn f() { run!(attach_ducklake) }",
        "#[serde(rename = \"ducklake_id\")] struct S;",
    ] {
        check("engine::planted", text, lake);
        check_allowed("engine::extensions", text);
    }
    check_allowed("engine", "mod inner {\n//! DuckLake, lake.x\n/// DuckLake\nfn f() {\n// lake.x\ng(\"lake\");\n}}");
    check_allowed("engine", "macro_rules! m { () => { /// DuckLake\n struct S; } }");
    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe fn f() {}",
        "unsafe impl Send for S {}",
        "fn f() { unwrap!(unsafe { g() }) }",
        "struct S; impl S { unsafe fn f() {} }",
        "#[unsafe(no_mangle)] fn f() {}",
    ] {
        check("engine::worker", text, "only engine::duckdb may");
        check_allowed("engine::duckdb::worker", text);
    }
    check("lake", "const NAME: &str = \"libduckdb.so\";", "only engine may");
}

/// These files of `lake` form this many circles.
#[track_caller]
fn check_circles(files: [(&str, &str); 3], expected: usize) {
    let found = cycles::of_files(&crate_of(&files));
    assert_eq!(found.len(), expected, "{files:?} give {found:?}");
}

#[test]
fn circles_of_files_are_seen() {
    let a = ("lake::a", "use super::b::B; pub struct A;");
    let alone = ("lake::b", "pub struct B;");
    let back = ("lake::b", "pub struct B; fn f() { super::a::f() }");
    check_circles([a, alone, ("lake", "")], 0);
    check_circles([a, back, ("lake", "")], 1);
    check_circles([a, ("lake::b", "use crate::lake::a::{A as Other}; pub struct B;"), ("lake", "")], 1);
    check_circles([a, ("lake::b", "fn f() { m!(super::a::A) } pub struct B;"), ("lake", "")], 1);
    check_circles(
        [a, ("lake::b", "pub struct B; #[cfg(test)] mod tests { use super::super::a::A; }"), ("lake", "")],
        0,
    );
    // A longer one, and one through another module.
    check_circles([a, ("lake::b", "use super::c::C; pub struct B;"), ("lake::c", "use super::a; type C = a::A;")], 1);
    check_circles(
        [a, ("lake::b", "use crate::jobs::J; pub struct B;"), ("jobs", "use crate::lake::a::A; pub struct J;")],
        1,
    );
}

#[test]
fn a_circle_through_the_parent_is_one_only_if_the_parent_defines_something() {
    let a = ("lake::a", "use super::B; pub struct A;");
    let b = ("lake::b", "use super::A; pub struct B;");
    check_circles([a, b, ("lake", "pub use self::{a::A, b::B};")], 1);
    let b = ("lake::b", "pub struct B;");
    check_circles([a, b, ("lake", "pub use self::{a::A, b::B};")], 0);
    check_circles([a, b, ("lake", "pub use self::a::*; pub use b::*;")], 0);
    check_circles([a, b, ("lake", "pub struct B; fn f(_: a::A) {}")], 1);
    check_circles([a, b, ("lake", "pub struct B;")], 0);
    check_circles([a, b, ("lake", "pub use self::a::A; pub struct B; fn f(_: A) {}")], 1);
    // A function with the name of its file.
    let c = ("lake::c", "pub fn c() {}");
    check_circles([c, ("lake::a", "use super::c; fn f() { c() }"), ("lake", "pub use self::c::c;")], 0);
    check_circles(
        [
            ("lake::c", "pub fn c() { super::a::f() }"),
            ("lake::a", "use super::c; fn f() { c() }"),
            ("lake", "pub use self::c::c;"),
        ],
        1,
    );
}

#[test]
fn circles_of_modules_are_seen() {
    let one_way = ("query", "use crate::write::Thing as Other;");
    check_none(&cycles::of_modules(&crate_of(&[one_way])));
    let found = cycles::of_modules(&crate_of(&[one_way, ("write::deep", "use crate::query;")]));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn rules_about_missing_modules_are_told() {
    let missing = rules_about_nothing(&crate_of(&[]));
    assert!(missing.contains(&"storage::s3"), "{missing:?}");
    assert!(!missing.contains(&"storage"), "{missing:?}");
    check("unruled", "use crate::session::Session;", "unruled has no rule");
    let files = [("lib.rs", "mod here; mod gone;"), ("here.rs", ""), ("here/lost.rs", "")];
    let modules = Modules::new(&files.map(|(file, text)| (file.to_owned(), text.to_owned())).into(), []);
    assert_eq!(modules.strays, ["src/gone.rs or gone/mod.rs is not there", "src/here/lost.rs belongs to no module"]);
}
