//! The table whose rows a statement changes.

use super::{
    cursor::Cursor,
    definition::take_relation,
    kind::{Kind, skip_common_tables},
    name::Name,
    statement::ParsedStatement,
};

// === impl ParsedStatement ===

impl ParsedStatement {
    /// The table whose rows it changes, or the object that it defines.
    pub fn target(&self) -> Option<Name> {
        match self.definition() {
            Some(definition) => definition.name.clone(),
            None => self.written_table(),
        }
    }

    /// The statement without a leading EXPLAIN.
    pub(super) fn body(&self) -> Cursor<'_> {
        let mut cursor = self.cursor();
        if let Kind::Explain { .. } = self.kind() {
            cursor.next();
            cursor.skip(&["ANALYZE", "ANALYSE", "VERBOSE"]);
            // The options are in parentheses; so is the explained statement, but only if it is a query.
            if cursor.is("(") {
                cursor.take_parentheses();
            }
        }
        cursor
    }

    /// The table whose rows the statement changes.
    fn written_table(&self) -> Option<Name> {
        let mut cursor = self.body();
        let kind = match self.kind() {
            Kind::Explain { explained, .. } => explained,
            kind => kind,
        };
        if cursor.is("WITH") {
            skip_common_tables(&mut cursor);
        }
        cursor.next();
        match kind {
            Kind::Insert => {
                if cursor.take("OR") {
                    cursor.next();
                }
                cursor.take("INTO");
                cursor.take_name()
            }
            Kind::Update => take_relation(&mut cursor),
            Kind::Delete => {
                let _from = cursor.take("FROM") || cursor.take("TABLE");
                take_relation(&mut cursor)
            }
            Kind::Merge => {
                cursor.take("INTO");
                take_relation(&mut cursor)
            }
            _ => None,
        }
    }
}
