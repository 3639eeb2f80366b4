//! What is known of a module: its paths, identifiers and strings, each with its line, and what it defines.

use std::collections::BTreeMap;

/// A path as it is written, without generic arguments. One that begins with `::` has an empty first segment.
pub type Path = Vec<String>;

/// A module, or a block of statements that has items of its own.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    /// Which module it is, or is in.
    pub path: Path,
    /// Where it lies, relative to `src`.
    pub file: String,
    /// Whether only tests compile it.
    pub is_test: bool,
    /// The scope around a block.
    pub around: Option<usize>,
    pub defined: BTreeMap<String, Vec<Definition>>,
    /// What is imported with a star.
    pub globs: Vec<Path>,
    pub names: Vec<Name>,
    pub words: Vec<Word>,
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub enum Definition {
    Module,
    Type,
    /// A function, constant or macro: nothing that a path goes on behind.
    Value,
    Import(Path),
}

/// A path in the code.
#[derive(Clone, Debug)]
pub struct Name {
    pub path: Path,
    pub line: usize,
    pub role: Role,
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To name something where it is used.
    Use,
    /// To import it: `use a::b`.
    Import,
    /// To import it for others, too: `pub use a::b`.
    Reexport,
}

/// An identifier or a string in the code; `unsafe` is an identifier here.
#[derive(Clone, Debug)]
pub struct Word {
    pub text: String,
    pub line: usize,
    pub is_string: bool,
}

/// A file that the code asks for, by `mod name;` or `include!`.
#[derive(Debug)]
pub struct Wanted {
    pub scope: Scope,
    /// Where it may lie.
    pub files: Vec<String>,
}
