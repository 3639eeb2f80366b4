//! `source_ref`: where the bytes of a row are.

use serde::Deserialize;

/// A reference to bytes: a whole file, a range of it, or a member of a tar file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reference {
    /// The URI of the file.
    pub path: Option<String>,
    /// The name of a member of that tar file.
    pub member: Option<String>,
    byte_offset: Option<u64>,
    byte_size: Option<u64>,
    /// The image of a file with several.
    pub frame_index: Option<u64>,
}

// === impl Reference ===

impl Reference {
    /// Reads a reference; `None` for text that refers to nothing.
    ///
    /// # Errors
    /// The reason, for text that is no reference.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        let reference: Option<Self> = serde_json::from_str(text).map_err(|err| format!("invalid source_ref: {err}"))?;
        Ok(reference.filter(|reference| reference.path.as_ref().is_none_or(|path| !path.is_empty())))
    }

    /// The first byte and the one after the last; `None` if it names no range.
    ///
    /// # Errors
    /// The reason, for a range that no file has.
    pub fn range(&self) -> Result<Option<(u64, u64)>, String> {
        match (self.byte_offset, self.byte_size) {
            // A size of 0 stands for none.
            (_, None | Some(0)) => Ok(None),
            (None, Some(_)) => Err("byte_size without byte_offset".to_owned()),
            (Some(start), Some(size)) => {
                let end = start.checked_add(size).filter(|end| i64::try_from(*end).is_ok());
                end.map(|end| Some((start, end))).ok_or_else(|| "the range ends behind any file".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read() {
        for nothing in ["", "  ", "null", r#"{"path": ""}"#] {
            assert_eq!(Reference::parse(nothing), Ok(None), "{nothing}");
        }
        let of = |text: &str| Reference::parse(text).unwrap().unwrap();
        let range = of(r#"{"path": "a", "member": null, "byte_offset": 5, "byte_size": 3}"#);
        assert_eq!((range.path.as_deref(), range.range()), (Some("a"), Ok(Some((5, 8)))));
        assert_eq!(of(r#"{"path": "a", "byte_offset": 5, "byte_size": 0}"#).range(), Ok(None));
        assert!(of(r#"{"path": "a", "byte_offset": 18446744073709551615, "byte_size": 1}"#).range().is_err());
        assert!(of(r#"{"path": "a", "byte_size": 1}"#).range().is_err());
        for wrong in ["x", "[]", r#"{"path": 1}"#, r#"{"path": "a", "byte_offset": -1}"#] {
            assert!(Reference::parse(wrong).is_err(), "{wrong}");
        }
    }
}
