//! SET, RESET and USE.

use super::{constant::Constant, cursor::Cursor, kind::Kind, name::Name, statement::ParsedStatement};

/// The target of SET, RESET or USE.
#[derive(Clone, Debug, PartialEq)]
pub enum Setting {
    /// A setting of the session; without a value, it is reset.
    Session(String, Option<Constant>),
    /// A setting of the whole server.
    Global(String),
    /// A variable of the session, which DuckDB keeps: its name.
    Variable(String),
    /// The default schema.
    Use(Name),
}

// === impl ParsedStatement ===

impl ParsedStatement {
    /// The setting that it changes; `None` for other statements, and for unsupported forms.
    pub fn setting(&self) -> Option<Setting> {
        let mut cursor = self.cursor();
        if *self.kind() != Kind::Set {
            return None;
        }
        match () {
            () if cursor.take("USE") => cursor.take_name().filter(|_| cursor.is_at_end()).map(Setting::Use),
            () if cursor.take("RESET") => reset(&mut cursor),
            () if cursor.take("SET") => set(&mut cursor),
            () => None,
        }
    }
}

fn set(cursor: &mut Cursor<'_>) -> Option<Setting> {
    if is_scope(cursor, "VARIABLE") {
        cursor.next();
        return variable(cursor);
    }
    let global = take_scope(cursor);
    if cursor.take_phrase(&["TIME", "ZONE"]) {
        return Some(Setting::Session("timezone".into(), Some(value(cursor)?)));
    }
    let name = cursor.take_name()?.last();
    if global {
        return Some(Setting::Global(name));
    }
    // SET schema 'silver' is the standard's form.
    let _sign = cursor.take("=") || cursor.take("TO");
    Some(Setting::Session(name, Some(value(cursor)?)))
}

fn reset(cursor: &mut Cursor<'_>) -> Option<Setting> {
    if is_scope(cursor, "VARIABLE") {
        cursor.next();
        return variable(cursor);
    }
    let global = take_scope(cursor);
    if cursor.take_phrase(&["TIME", "ZONE"]) {
        return cursor.is_at_end().then(|| Setting::Session("timezone".into(), None));
    }
    let name = cursor.take_name()?.last();
    if global {
        return Some(Setting::Global(name));
    }
    cursor.is_at_end().then_some(Setting::Session(name, None))
}

fn variable(cursor: &mut Cursor<'_>) -> Option<Setting> {
    cursor.take_part().map(Setting::Variable)
}

/// Takes the scope, if there is one; returns whether it is GLOBAL.
fn take_scope(cursor: &mut Cursor<'_>) -> bool {
    for scope in ["SESSION", "LOCAL", "GLOBAL"] {
        if is_scope(cursor, scope) {
            cursor.next();
            return scope == "GLOBAL";
        }
    }
    false
}

/// Whether `word` is the scope and not the name of a setting.
fn is_scope(cursor: &Cursor<'_>, word: &str) -> bool {
    cursor.is(word) && !["=", "TO", "."].iter().any(|sign| cursor.is_at(1, sign)) && cursor.rest().len() > 1
}

/// The value, up to the end of the statement. A bare word is a string: `SET timezone = UTC`.
fn value(cursor: &mut Cursor<'_>) -> Option<Constant> {
    let mut bare = *cursor;
    let constant = Constant::take(cursor).filter(|_| cursor.is_at_end());
    constant.or_else(|| bare.take_part().filter(|_| bare.is_at_end()).map(Constant::Text))
}
