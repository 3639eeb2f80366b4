//! Circles: files, or modules, that can be read only together.
//!
//! An edge goes from the file that names something to the file that defines it, wherever it is re-exported. What a
//! parent re-exports from its children is no edge, nor is a module's name by itself: only what is named in it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    modules::{End, Follow, Modules},
    scope::Role,
};

/// Who names whom, with one place where it does.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// Circles of files.
pub fn of_files(modules: &Modules) -> Vec<String> {
    let mut graph = Graph::new();
    for (index, name) in modules.names() {
        let scope = &modules.scopes[index];
        for end in modules.resolve(index, &name.path, Follow::Everywhere) {
            let End::Here { module, path, file } = end else { continue };
            let is_parent = module.len() > scope.path.len() && module.starts_with(&scope.path);
            if path == module || file == scope.file || (name.role == Role::Reexport && is_parent) {
                continue;
            }
            let what = || format!("line {} names {}", name.line, path.join("::"));
            graph.entry(file.clone()).or_default();
            graph.entry(scope.file.clone()).or_default().entry(file).or_insert_with(what);
        }
    }
    circles(&graph)
}

/// Circles of modules of the crate's root.
pub fn of_modules(modules: &Modules) -> Vec<String> {
    let mut graph = Graph::new();
    for (index, name) in modules.names() {
        let scope = &modules.scopes[index];
        let Some(own) = scope.path.first() else { continue };
        for end in modules.resolve(index, &name.path, Follow::Within(own)) {
            let End::Here { path, .. } = end else { continue };
            if let Some(other) = path.first().filter(|other| *other != own) {
                let what = || format!("src/{}:{} names {}", scope.file, name.line, path.join("::"));
                graph.entry(other.clone()).or_default();
                graph.entry(own.clone()).or_default().entry(other.clone()).or_insert_with(what);
            }
        }
    }
    circles(&graph)
}

/// Every circle with its edges, as text.
fn circles(graph: &Graph) -> Vec<String> {
    let told = |circle: BTreeSet<&str>| {
        let edges = circle.iter().flat_map(|from| graph[*from].iter().map(move |(to, what)| (from, to, what)));
        let edges = edges.filter(|(_, to, _)| circle.contains(to.as_str()));
        let edges: Vec<_> = edges.map(|(from, to, what)| format!("\n    {from} ▶ {to}: {what}")).collect();
        format!("{} form a circle:{}", circle.iter().copied().collect::<Vec<_>>().join(", "), edges.concat())
    };
    connected(graph).into_iter().filter(|part| part.len() > 1).map(told).collect()
}

/// The strongly connected components, by Tarjan's algorithm.
fn connected(graph: &Graph) -> Vec<BTreeSet<&str>> {
    let mut tarjan = Tarjan { graph, order: BTreeMap::new(), stack: Vec::new(), found: Vec::new() };
    for node in graph.keys() {
        if !tarjan.order.contains_key(node.as_str()) {
            tarjan.visit(node);
        }
    }
    tarjan.found
}

struct Tarjan<'a> {
    graph: &'a Graph,
    /// When a node was first seen.
    order: BTreeMap<&'a str, usize>,
    /// The nodes whose component is not complete.
    stack: Vec<&'a str>,
    found: Vec<BTreeSet<&'a str>>,
}

impl<'a> Tarjan<'a> {
    /// Gives the earliest node on the stack that `node` reaches.
    fn visit(&mut self, node: &'a str) -> usize {
        let own = self.order.len();
        self.order.insert(node, own);
        self.stack.push(node);
        let mut lowest = own;
        for next in self.graph[node].keys() {
            match self.order.get(next.as_str()) {
                None => lowest = lowest.min(self.visit(next)),
                Some(order) if self.stack.contains(&next.as_str()) => lowest = lowest.min(*order),
                Some(_) => {}
            }
        }
        if lowest == own {
            let start = self.stack.iter().position(|other| *other == node).unwrap();
            self.found.push(self.stack.drain(start..).collect());
        }
        lowest
    }
}
