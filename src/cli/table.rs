//! Results as tables.

use std::fmt::Display;

use comfy_table::{Table, presets};

use super::output;
use crate::error::Result;

/// Prints a table without borders.
///
/// # Errors
/// If stdout is closed.
pub(super) fn print_table<const N: usize>(
    columns: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
) -> Result<()> {
    output::print(format(columns, rows))
}

/// The cell of a value that may be absent.
pub(super) fn cell(value: Option<impl Display>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| value.to_string())
}

fn format<const N: usize>(columns: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(columns).add_rows(rows);
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_aligned_under_their_header() {
        let rows = [["grün".to_owned(), cell(Some(12))], ["a b".to_owned(), cell(None::<u64>)]];
        assert_eq!(format(["name", "rows"], rows), "name  rows\ngrün  12\na b   –");
        assert_eq!(format(["name", "rows"], []), "name  rows");
    }
}
