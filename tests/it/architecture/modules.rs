//! The modules of the crate, and what a path in one of them means.
//!
//! Paths are followed as the compiler does it: through `self`, `super` and `crate`, through imports with other names,
//! stars, re-exports and blocks. Where a name is unknown because a macro made it, it counts to the module before it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    imports::read,
    scope::{Definition, Name, Path, Scope, Wanted},
};

/// The crate's name, by which the program calls it.
const CRATE: &str = "merganser";

/// Every scope of the crate.
#[derive(Debug)]
pub struct Modules {
    pub scopes: Vec<Scope>,
    /// Files that no module asks for, and modules without a file.
    pub strays: Vec<String>,
    /// The scopes of each module: more than one if it includes a file.
    of_path: HashMap<Path, Vec<usize>>,
    crates: BTreeSet<String>,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Out of the crate; the path begins with the other crate.
    Crate(Path),
    /// Something in a module of this crate.
    Here {
        /// The innermost module of the path.
        module: Path,
        /// The whole path, from the crate's root.
        path: Path,
        /// Where the last name is defined.
        file: String,
    },
}

/// How far imports are followed.
#[derive(Clone, Copy, Debug)]
pub enum Follow<'a> {
    /// To the definition.
    Everywhere,
    /// As long as they stand in this module of the crate's root: what others re-export is theirs.
    Within(&'a str),
}

// === impl Modules ===

impl Modules {
    /// Reads the files, by their names below `src`. `crates` may be named without having been declared.
    pub fn new(files: &BTreeMap<String, String>, crates: impl IntoIterator<Item = String>) -> Self {
        let (mut scopes, mut strays) = (Vec::new(), Vec::new());
        let mut unread: BTreeSet<_> = files.keys().cloned().collect();
        let root =
            |file: &str, path: Path| Wanted { scope: Scope { path, ..Scope::default() }, files: vec![file.to_owned()] };
        let mut wanted = vec![root("lib.rs", Path::new())];
        if files.contains_key("main.rs") {
            wanted.push(root("main.rs", vec!["main".into()]));
        }
        while let Some(Wanted { scope, files: places }) = wanted.pop() {
            let Some(file) = places.iter().find(|file| files.contains_key(*file)) else {
                strays.push(format!("src/{} is not there", places.join(" or ")));
                scopes.push(Scope { file: places[0].clone(), ..scope });
                continue;
            };
            unread.remove(file);
            wanted.extend(read(&files[file], Scope { file: file.clone(), ..scope }, &mut scopes));
        }
        strays.extend(unread.into_iter().map(|file| format!("src/{file} belongs to no module")));
        let mut of_path = HashMap::<Path, Vec<usize>>::new();
        for (index, scope) in scopes.iter().enumerate().filter(|(_, scope)| scope.around.is_none()) {
            of_path.entry(scope.path.clone()).or_default().push(index);
        }
        let standard = ["std", "core", "alloc"].map(String::from);
        Self { scopes, strays, of_path, crates: crates.into_iter().chain(standard).collect() }
    }

    /// Everything that is named outside of tests, with the scope that names it.
    pub fn names(&self) -> impl Iterator<Item = (usize, &Name)> {
        let scopes = self.scopes.iter().enumerate().filter(|(_, scope)| !scope.is_test);
        scopes.flat_map(|(index, scope)| scope.names.iter().map(move |name| (index, name)))
    }

    pub fn has(&self, path: &[String]) -> bool {
        self.of_path.contains_key(path)
    }

    /// Whether a file is compiled for tests alone.
    pub fn is_test(&self, file: &str) -> bool {
        self.scopes.iter().filter(|scope| scope.file == file).all(|scope| scope.is_test)
    }

    /// What a path means that stands in a scope: nothing if it begins with a local variable or a built-in type, more
    /// than one thing if a function has the name of a module.
    pub fn resolve(&self, scope: usize, path: &[String], follow: Follow<'_>) -> Vec<End> {
        Resolver { modules: self, follow, open: Vec::new() }.in_scope(scope, path)
    }
}

struct Resolver<'a> {
    modules: &'a Modules,
    follow: Follow<'a>,
    /// The imports that are being followed: one that leads to itself ends there.
    open: Vec<(usize, Path)>,
}

// === impl Resolver ===

impl Resolver<'_> {
    fn in_scope(&mut self, scope: usize, path: &[String]) -> Vec<End> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let module = &self.modules.scopes[scope].path;
        match first.as_str() {
            "" => self.in_crates(rest),
            "crate" => self.in_module(&[], rest),
            "self" => self.in_module(module, rest),
            "super" => self.in_module(module, path),
            _ => {
                let mut around = Some(scope);
                while let Some(scope) = around {
                    let found = self.members(scope, path);
                    if !found.is_empty() {
                        return found;
                    }
                    around = self.modules.scopes[scope].around;
                }
                self.in_crates(path)
            }
        }
    }

    fn in_crates(&mut self, path: &[String]) -> Vec<End> {
        match path.split_first() {
            Some((first, rest)) if first == CRATE => self.in_module(&[], rest),
            Some((first, _)) if self.modules.crates.contains(first) => vec![End::Crate(path.to_vec())],
            _ => Vec::new(),
        }
    }

    fn in_module(&mut self, module: &[String], rest: &[String]) -> Vec<End> {
        let modules = self.modules;
        let scopes = modules.of_path.get(module).map_or(&[][..], Vec::as_slice);
        match rest.first().map(String::as_str) {
            Some("self") => return self.in_module(module, &rest[1..]),
            Some("super") => return self.in_module(&module[..module.len().saturating_sub(1)], &rest[1..]),
            _ => {}
        }
        let mut found: Vec<_> = match rest.first() {
            Some(_) => scopes.iter().flat_map(|scope| self.members(*scope, rest)).collect(),
            None => Vec::new(),
        };
        let defines =
            |scope: &usize| rest.first().is_some_and(|name| modules.scopes[*scope].defined.contains_key(name));
        if found.is_empty() && !scopes.iter().any(defines) {
            found.extend(scopes.last().map(|scope| self.here(*scope, rest)));
        }
        found
    }

    /// What `path` means as the name of something in `scope`.
    fn members(&mut self, scope: usize, path: &[String]) -> Vec<End> {
        let modules = self.modules;
        let Scope { path: module, defined, globs, .. } = &modules.scopes[scope];
        let follows = match self.follow {
            Follow::Everywhere => true,
            Follow::Within(top) => module.first().is_none_or(|first| first == top),
        };
        let mut found = Vec::new();
        for definition in defined.get(&path[0]).into_iter().flatten() {
            match definition {
                Definition::Module => found.extend(self.in_module(&[&module[..], &path[..1]].concat(), &path[1..])),
                Definition::Value if path.len() > 1 => {}
                Definition::Import(target) if follows => {
                    let target_of = |resolver: &mut Self| resolver.in_scope(scope, &[target, &path[1..]].concat());
                    found.extend(self.once((scope, target.clone()), target_of));
                }
                Definition::Import(_) | Definition::Type | Definition::Value => found.push(self.here(scope, path)),
            }
        }
        if found.is_empty() && follows {
            for glob in globs {
                let key = [glob, &["*".to_owned()][..], path].concat();
                found.extend(self.once((scope, key), |resolver| resolver.through_star(scope, glob, path)));
            }
        }
        found
    }

    /// Follows an import, if that is not under way.
    fn once(&mut self, import: (usize, Path), follow: impl FnOnce(&mut Self) -> Vec<End>) -> Vec<End> {
        if self.open.contains(&import) {
            return Vec::new();
        }
        self.open.push(import);
        let found = follow(self);
        self.open.pop();
        found
    }

    /// What `path` means if it was imported by `glob::*`.
    fn through_star(&mut self, scope: usize, glob: &[String], path: &[String]) -> Vec<End> {
        let modules = self.modules;
        let starred = self.in_scope(scope, glob).into_iter().filter_map(|end| match end {
            End::Here { module, path, .. } if module == path => modules.of_path.get(&module),
            _ => None,
        });
        starred.collect::<Vec<_>>().into_iter().flatten().flat_map(|scope| self.members(*scope, path)).collect()
    }

    fn here(&self, scope: usize, rest: &[String]) -> End {
        let Scope { path: module, file, .. } = &self.modules.scopes[scope];
        End::Here { module: module.clone(), path: [module, rest].concat(), file: file.clone() }
    }
}
