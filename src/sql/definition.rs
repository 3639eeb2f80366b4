//! The objects that a statement creates, drops or changes in the catalog.

use super::{
    cursor::Cursor,
    kind::Kind,
    name::Name,
    token::{Token, TokenKind},
};

/// The subject of CREATE, DROP, ALTER or COMMENT ON.
#[derive(Clone, Debug)]
pub struct Definition {
    /// The kind of object.
    pub object: Object,
    /// Its name; a secret may have none.
    pub name: Option<Name>,
    /// Whether the statement declares it as TEMP.
    pub temporary: bool,
    /// The change to an existing object.
    pub change: Change,
    /// The keyword CASCADE.
    pub(super) cascade: Option<Token>,
}

/// A kind of object in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// A table.
    Table,
    /// A view.
    View,
    /// A scalar or table macro.
    Macro,
    /// A schema.
    Schema,
    /// A secret of DuckDB.
    Secret,
    /// A whole database.
    Database,
    /// Any other: an index, a sequence, a type.
    Other,
}

/// How a definition changes an existing object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is created or dropped.
    Whole,
    /// It is renamed to this name.
    Rename(String),
    /// Its partitioning is reset.
    ResetPartitioning,
    /// Any other change.
    Other,
}

// === impl Definition ===

impl Definition {
    /// The definition of a statement of `kind`.
    pub(super) fn of(kind: &Kind, mut cursor: Cursor<'_>) -> Option<Self> {
        match kind {
            Kind::Create => Some(Self::create(&mut cursor)),
            Kind::Drop => Some(Self::drop(&mut cursor)),
            Kind::Alter => Some(Self::alter(&mut cursor)),
            _ => None,
        }
    }

    /// Whether the object is a TEMP one.
    pub fn is_temp(&self) -> bool {
        let parts = self.name.as_ref().map(Name::parts).unwrap_or_default();
        self.temporary || parts.len() > 1 && parts[0].eq_ignore_ascii_case("temp")
    }

    fn create(cursor: &mut Cursor<'_>) -> Self {
        cursor.next();
        cursor.take_phrase(&["OR", "REPLACE"]);
        let mut temporary = false;
        while cursor.is_any(&["LOCAL", "GLOBAL", "TEMP", "TEMPORARY", "UNLOGGED", "PERSISTENT", "RECURSIVE", "UNIQUE"])
        {
            temporary |= cursor.is_any(&["TEMP", "TEMPORARY"]);
            cursor.next();
        }
        let object = Object::take(cursor);
        cursor.take_phrase(&["IF", "NOT", "EXISTS"]);
        let name = cursor.take_name();
        Self { object, name, temporary, change: Change::Whole, cascade: None }
    }

    fn drop(cursor: &mut Cursor<'_>) -> Self {
        cursor.next();
        let temporary = cursor.take("TEMPORARY") || cursor.take("TEMP");
        cursor.take("PERSISTENT");
        let object = Object::take(cursor);
        cursor.take_phrase(&["IF", "EXISTS"]);
        let name = cursor.take_name();
        // A schema has dependants, which DuckLake handles.
        let cascade = cursor.is("CASCADE") && object != Object::Schema;
        let cascade = if cascade { cursor.peek() } else { None };
        Self { object, name, temporary, change: Change::Whole, cascade }
    }

    fn alter(cursor: &mut Cursor<'_>) -> Self {
        let comments = cursor.is("COMMENT");
        cursor.next();
        cursor.take("ON");
        let of_column = comments && cursor.take("COLUMN");
        let object = if of_column { Object::Table } else { Object::take(cursor) };
        cursor.take_phrase(&["IF", "EXISTS"]);
        let name = if of_column { column_owner(cursor) } else { take_relation(cursor) };
        let change = if comments { Change::Other } else { Change::take(cursor) };
        Self { object, name, temporary: false, change, cascade: None }
    }
}

// === impl Change ===

impl Change {
    fn take(cursor: &mut Cursor<'_>) -> Self {
        if cursor.take_phrase(&["RENAME", "TO"]) {
            return cursor.take_part().map_or(Self::Other, Self::Rename);
        }
        if cursor.take_phrase(&["RESET", "PARTITIONED", "BY"]) { Self::ResetPartitioning } else { Self::Other }
    }
}

// === impl Object ===

impl Object {
    fn take(cursor: &mut Cursor<'_>) -> Self {
        let words = [
            ("TABLE", Self::Table),
            ("VIEW", Self::View),
            ("MACRO", Self::Macro),
            ("FUNCTION", Self::Macro),
            ("SCHEMA", Self::Schema),
            ("SECRET", Self::Secret),
            ("DATABASE", Self::Database),
        ];
        let found = words.into_iter().find(|(word, _)| cursor.take(word)).map(|(_, object)| object);
        match found {
            Some(Self::Macro) => {
                // DROP MACRO TABLE m; but a macro may also be named table.
                let names_more = cursor.is("TABLE") && !cursor.is_at(1, ".") && cursor.rest().len() > 1;
                if names_more && !cursor.is_at(1, "(") {
                    cursor.next();
                }
                Self::Macro
            }
            Some(object) => object,
            None => {
                cursor.next();
                Self::Other
            }
        }
    }
}

/// `t`, `ONLY t` or `ONLY (t)`.
pub(super) fn take_relation(cursor: &mut Cursor<'_>) -> Option<Name> {
    let next_is_name = cursor.rest().get(1).is_some_and(|token| {
        matches!(token.kind, TokenKind::Word | TokenKind::Quoted | TokenKind::Text) || cursor.is_at(1, "(")
    });
    if cursor.is("ONLY") && next_is_name {
        cursor.next();
        if cursor.is("(") {
            return cursor.take_parentheses().and_then(|mut inside| inside.take_name());
        }
    }
    cursor.take_name()
}

/// The table of a qualified column name.
fn column_owner(cursor: &mut Cursor<'_>) -> Option<Name> {
    let mut parts = cursor.take_name()?.parts().to_vec();
    parts.pop();
    (!parts.is_empty()).then(|| Name::new(parts))
}
