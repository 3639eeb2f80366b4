//! The table whose rows a statement changes.

use super::{
    definition::take_relation,
    kind::{Kind, skip_common_tables},
    name::Name,
    statement::ParsedStatement,
};

// === impl ParsedStatement ===

impl ParsedStatement {
    /// The table whose rows it changes, or what it defines.
    pub fn target(&self) -> Option<Name> {
        match self.definition() {
            Some(definition) => definition.name.clone(),
            None => self.written_table(),
        }
    }

    /// The table whose rows the statement changes.
    pub(super) fn written_table(&self) -> Option<Name> {
        let mut cursor = self.cursor();
        let mut kind = self.kind();
        if let Kind::Explain { explained, .. } = kind {
            kind = explained;
            // The options of EXPLAIN hold none of these words outside of parentheses.
            cursor.next();
            cursor.skip(&["ANALYZE", "ANALYSE", "VERBOSE"]);
            if cursor.is("(") {
                cursor.take_parentheses();
            }
        }
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
