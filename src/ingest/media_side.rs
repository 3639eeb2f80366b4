//! The side columns of media: what is known about a medium, beside the column with its URI.

/// The side columns and their types; their names follow that of the column.
pub(super) const SIDE: [(&str, &str); 6] = [
    ("width", "BIGINT"),
    ("height", "BIGINT"),
    ("format", "VARCHAR"),
    ("duration", "DOUBLE"),
    ("bytes", "BIGINT"),
    ("sha256", "VARCHAR"),
];

/// The names of the side columns of `column`.
pub fn of(column: &str) -> [String; SIDE.len()] {
    SIDE.map(|(side, _)| format!("{column}_{side}"))
}
