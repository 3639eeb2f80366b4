//! Reads what the code of a file names and defines.
//!
//! A parser reads the file, so groups, renames and nested modules are here what they are to the compiler. In macro
//! calls and attributes there are only tokens: `tokens.rs`. What stands under `#[cfg(test)]` is left out; its modules
//! are read, as tests. Comments and docs are not code.

use proc_macro2::{Ident, Span};
use syn::{
    Attribute, Item, LitByteStr, LitCStr, LitStr, Macro, Meta, Token, UseTree, Visibility,
    ext::IdentExt,
    punctuated::Punctuated,
    visit::{self, Visit},
};

use super::scope::{Definition, Name, Path, Role, Scope, Wanted, Word};

/// Reads the file of `scope`; it and the scopes inside it are added to `scopes`.
pub fn read(text: &str, mut scope: Scope, scopes: &mut Vec<Scope>) -> Vec<Wanted> {
    let file = syn::parse_file(text).unwrap_or_else(|error| panic!("src/{}: {error}", scope.file));
    let (parent, name) = scope.file.rsplit_once('/').unwrap_or(("", &scope.file));
    let stem = name.trim_end_matches(".rs");
    let folder = if ["mod", "lib", "main"].contains(&stem) { parent.to_owned() } else { join(parent, stem) };
    scope.is_test |= only_for_tests(&file.attrs);
    let mut reader = Reader { folder, current: scopes.len(), scopes, wanted: Vec::new() };
    reader.scopes.push(scope);
    reader.visit_file(&file);
    reader.wanted
}

pub struct Reader<'a> {
    /// Where the files of the modules lie that are declared here.
    folder: String,
    current: usize,
    scopes: &'a mut Vec<Scope>,
    wanted: Vec<Wanted>,
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether one of the attributes is a `cfg` that holds in tests alone.
fn only_for_tests(attributes: &[Attribute]) -> bool {
    fn needs_test(meta: &Meta) -> bool {
        let Meta::List(list) = meta else { return meta.path().is_ident("test") };
        let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated).unwrap_or_default();
        match list.path.get_ident().map(ToString::to_string).as_deref() {
            Some("all") => parts.iter().any(needs_test),
            Some("any") => !parts.is_empty() && parts.iter().all(needs_test),
            _ => false,
        }
    }
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    conditions.filter_map(|cfg| cfg.parse_args::<Meta>().ok()).any(|meta| needs_test(&meta))
}

// === impl Reader ===

impl Reader<'_> {
    pub fn scope(&mut self) -> &mut Scope {
        &mut self.scopes[self.current]
    }

    pub fn word(&mut self, text: String, span: Span, is_string: bool) {
        self.scope().words.push(Word { text, line: span.start().line, is_string });
    }

    fn identifier(&mut self, ident: &Ident) -> String {
        let text = ident.unraw().to_string();
        self.word(text.clone(), ident.span(), false);
        text
    }

    fn keyword_unsafe(&mut self, keyword: Option<&Token![unsafe]>) {
        if let Some(keyword) = keyword {
            self.word("unsafe".into(), keyword.span, false);
        }
    }

    pub fn name(&mut self, path: Path, line: usize, role: Role) {
        self.scope().names.push(Name { path, line, role });
    }

    fn define(&mut self, name: String, definition: Definition) {
        self.scope().defined.entry(name).or_default().push(definition);
    }

    /// Does `read` in a scope inside the current one.
    fn inside(&mut self, scope: Scope, read: impl FnOnce(&mut Self)) {
        let outer = self.current;
        self.current = self.scopes.len();
        self.scopes.push(scope);
        read(self);
        self.current = outer;
    }

    fn use_tree(&mut self, tree: &UseTree, mut before: Path, role: Role) {
        let (ident, bound) = match tree {
            UseTree::Path(path) => {
                before.push(self.identifier(&path.ident));
                return self.use_tree(&path.tree, before, role);
            }
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.use_tree(tree, before.clone(), role));
            }
            UseTree::Glob(glob) => {
                self.name(before.clone(), glob.star_token.span.start().line, role);
                return self.scope().globs.push(before);
            }
            UseTree::Name(name) => (&name.ident, None),
            UseTree::Rename(rename) => (&rename.ident, Some(&rename.rename)),
        };
        let last = self.identifier(ident);
        if last != "self" || before.is_empty() {
            before.push(last);
        }
        let bound = bound.map(|bound| self.identifier(bound)).or_else(|| before.last().cloned());
        self.name(before.clone(), ident.span().start().line, role);
        self.define(bound.unwrap_or_default(), Definition::Import(before));
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        use Definition::{Type, Value};
        let (attributes, defined) = match item {
            Item::Const(item) => (&item.attrs, Some((&item.ident, Value))),
            Item::Enum(item) => (&item.attrs, Some((&item.ident, Type))),
            Item::ExternCrate(item) => (&item.attrs, None),
            Item::Fn(item) => (&item.attrs, Some((&item.sig.ident, Value))),
            Item::ForeignMod(item) => (&item.attrs, None),
            Item::Impl(item) => (&item.attrs, None),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref().map(|ident| (ident, Value))),
            // Tests are modules, too.
            Item::Mod(item) => return self.visit_item_mod(item),
            Item::Static(item) => (&item.attrs, Some((&item.ident, Value))),
            Item::Struct(item) => (&item.attrs, Some((&item.ident, Type))),
            Item::Trait(item) => (&item.attrs, Some((&item.ident, Type))),
            Item::TraitAlias(item) => (&item.attrs, Some((&item.ident, Type))),
            Item::Type(item) => (&item.attrs, Some((&item.ident, Type))),
            Item::Union(item) => (&item.attrs, Some((&item.ident, Type))),
            Item::Use(item) => (&item.attrs, None),
            _ => panic!("src/{}: an item that this test cannot read", self.scope().file),
        };
        if only_for_tests(attributes) {
            return;
        }
        if let Some((ident, definition)) = defined {
            self.define(ident.unraw().to_string(), definition);
        }
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let name = self.identifier(&item.ident);
        self.define(name.clone(), Definition::Module);
        let Scope { mut path, file, is_test, .. } = self.scope().clone();
        path.push(name.clone());
        let is_test = is_test || only_for_tests(&item.attrs);
        let scope = Scope { path, file, is_test, ..Scope::default() };
        let folder = join(&self.folder, &name);
        let Some((_, items)) = &item.content else {
            let files = vec![format!("{folder}.rs"), format!("{folder}/mod.rs")];
            return self.wanted.push(Wanted { scope, files });
        };
        let outer = std::mem::replace(&mut self.folder, folder);
        self.inside(scope, |reader| items.iter().for_each(|item| reader.visit_item(item)));
        self.folder = outer;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let before = if item.leading_colon.is_some() { vec![String::new()] } else { Path::new() };
        let role = if matches!(item.vis, Visibility::Inherited) { Role::Import } else { Role::Reexport };
        self.use_tree(&item.tree, before, role);
        self.visit_visibility(&item.vis);
    }

    fn visit_item_extern_crate(&mut self, item: &'ast syn::ItemExternCrate) {
        let name = self.identifier(&item.ident);
        let bound = item.rename.as_ref().map_or_else(|| name.clone(), |(_, rename)| self.identifier(rename));
        let path = if name == "self" { vec!["crate".into()] } else { vec![String::new(), name] };
        self.name(path.clone(), item.ident.span().start().line, Role::Import);
        self.define(bound, Definition::Import(path));
    }

    fn visit_block(&mut self, block: &'ast syn::Block) {
        if !block.stmts.iter().any(|statement| matches!(statement, syn::Stmt::Item(_))) {
            return visit::visit_block(self, block);
        }
        let around = Some(self.current);
        let Scope { path, file, is_test, .. } = self.scope().clone();
        let scope = Scope { path, file, is_test, around, ..Scope::default() };
        self.inside(scope, |reader| visit::visit_block(reader, block));
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let is_test = match item {
            syn::ImplItem::Const(item) => only_for_tests(&item.attrs),
            syn::ImplItem::Fn(item) => only_for_tests(&item.attrs),
            syn::ImplItem::Type(item) => only_for_tests(&item.attrs),
            _ => false,
        };
        if !is_test {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let first = path.leading_colon.as_ref().map(|_| String::new());
        let segments = path.segments.iter().map(|segment| segment.ident.unraw().to_string());
        let line = path.segments.first().map_or(0, |segment| segment.ident.span().start().line);
        self.name(first.into_iter().chain(segments).collect(), line, Role::Use);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        if let (true, Ok(included)) = (call.path.is_ident("include"), call.parse_body::<LitStr>()) {
            let Scope { path, file, is_test, .. } = self.scope().clone();
            let file = join(file.rsplit_once('/').map_or("", |(folder, _)| folder), &included.value());
            self.wanted.push(Wanted { scope: Scope { path, is_test, ..Scope::default() }, files: vec![file] });
        }
        self.tokens(call.tokens.clone(), &[], false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        if attribute.path().is_ident("doc") {
            return;
        }
        self.visit_path(attribute.path());
        match &attribute.meta {
            Meta::List(list) => self.tokens(list.tokens.clone(), &[], true),
            Meta::NameValue(pair) => self.visit_expr(&pair.value),
            Meta::Path(_) => {}
        }
    }

    fn visit_ident(&mut self, ident: &'ast Ident) {
        self.identifier(ident);
    }

    fn visit_lit_str(&mut self, text: &'ast LitStr) {
        self.word(text.value(), text.span(), true);
    }

    fn visit_lit_byte_str(&mut self, text: &'ast LitByteStr) {
        self.word(String::from_utf8_lossy(&text.value()).into_owned(), text.span(), true);
    }

    fn visit_lit_cstr(&mut self, text: &'ast LitCStr) {
        self.word(text.value().to_string_lossy().into_owned(), text.span(), true);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.keyword_unsafe(Some(&block.unsafe_token));
        visit::visit_expr_unsafe(self, block);
    }

    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.keyword_unsafe(signature.unsafety.as_ref());
        visit::visit_signature(self, signature);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        self.keyword_unsafe(item.unsafety.as_ref());
        visit::visit_item_impl(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.keyword_unsafe(item.unsafety.as_ref());
        visit::visit_item_trait(self, item);
    }

    fn visit_item_foreign_mod(&mut self, item: &'ast syn::ItemForeignMod) {
        self.keyword_unsafe(item.unsafety.as_ref());
        visit::visit_item_foreign_mod(self, item);
    }
}
