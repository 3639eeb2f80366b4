//! Paths in macro calls and attributes, where a path is what looks like one: words with `::` between them.

use proc_macro2::{Delimiter, Spacing, Span, TokenStream, TokenTree};
use syn::{Lit, ext::IdentExt, visit::Visit};

use super::{
    imports::Reader,
    scope::{Path, Role},
};

/// A path that is being put together.
#[derive(Default)]
struct Pending {
    path: Path,
    line: usize,
    /// Whether `::` was last.
    is_open: bool,
    /// Whether it stands behind a dot: one word is a field or method then.
    is_field: bool,
    is_import: bool,
}

impl Reader<'_> {
    /// Reads tokens; inside the braces of `a::{…}`, `before` is `a`.
    pub fn tokens(&mut self, tokens: TokenStream, before: &[String], in_attribute: bool) {
        let mut tokens = tokens.into_iter().peekable();
        let (mut pending, mut dots, mut last) = (Pending::default(), 0, String::new());
        while let Some(token) = tokens.next() {
            let dots_before = std::mem::take(&mut dots);
            match token {
                TokenTree::Ident(ident) => {
                    let text = ident.unraw().to_string();
                    self.word(text.clone(), ident.span(), false);
                    if !pending.is_open {
                        self.finish(&mut pending, before);
                        let renames = !before.is_empty() && last == "as";
                        pending = Pending::new(before, ident.span());
                        pending.is_field = dots_before == 1 || renames;
                        pending.is_import = last == "use";
                    }
                    pending.is_open = false;
                    if before.is_empty() || text != "self" {
                        pending.path.push(text.clone());
                    }
                    last = text;
                }
                TokenTree::Punct(colon)
                    if colon.as_char() == ':'
                        && colon.spacing() == Spacing::Joint
                        && matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':') =>
                {
                    tokens.next();
                    if pending.path.is_empty() || pending.is_open {
                        pending = Pending::new(&[String::new()], colon.span());
                    }
                    pending.is_open = true;
                }
                TokenTree::Punct(punct) => {
                    self.finish(&mut pending, before);
                    dots = if punct.as_char() == '.' { dots_before + 1 } else { 0 };
                    let next = tokens.peek();
                    if punct.as_char() == '#'
                        && let Some(TokenTree::Group(group)) = next
                        && group.delimiter() == Delimiter::Bracket
                    {
                        self.attribute(group.stream());
                        tokens.next();
                    }
                }
                TokenTree::Group(group) if pending.is_open && group.delimiter() == Delimiter::Brace => {
                    let before = std::mem::take(&mut pending).path;
                    self.tokens(group.stream(), &before, in_attribute);
                }
                TokenTree::Group(group) => {
                    self.finish(&mut pending, before);
                    self.tokens(group.stream(), &[], in_attribute);
                }
                TokenTree::Literal(literal) => {
                    self.finish(&mut pending, before);
                    // Why a lint is expected is prose.
                    if !(in_attribute && last == "reason") {
                        self.literal(Lit::new(literal), in_attribute);
                    }
                }
            }
        }
        self.finish(&mut pending, before);
    }

    /// An attribute among tokens; docs are no code.
    fn attribute(&mut self, tokens: TokenStream) {
        let is_doc = tokens.clone().into_iter().next().is_some_and(|first| first.to_string() == "doc");
        if !is_doc {
            self.tokens(tokens, &[], true);
        }
    }

    /// A string in an attribute may be a path: `#[serde(with = "a::b")]`.
    fn literal(&mut self, literal: Lit, in_attribute: bool) {
        self.visit_lit(&literal);
        if let Lit::Str(text) = literal
            && in_attribute
            && let Ok(path) = text.parse::<syn::Path>()
        {
            self.visit_path(&path);
        }
    }

    fn finish(&mut self, pending: &mut Pending, before: &[String]) {
        let Pending { path, line, is_field, is_import, .. } = std::mem::take(pending);
        if path.is_empty() || (is_field && path.len() == before.len() + 1) {
            return;
        }
        self.name(path, line, if is_import { Role::Import } else { Role::Use });
    }
}

impl Pending {
    fn new(before: &[String], span: Span) -> Self {
        Self { path: before.to_vec(), line: span.start().line, ..Self::default() }
    }
}
