//! Tar files.

use std::path::Path;

use super::{name::place, target::Target};
use crate::{
    error::{Context, Error, Result},
    ingest::tarball::{MemberKind, Tarball},
};

/// Unpacks the tar file at `archive`.
///
/// # Errors
/// As [`unpack`](super::unpack).
pub(super) fn unpack(archive: &Path, target: &mut Target<'_>) -> Result<()> {
    let mut tarball = Tarball::open(archive)?;
    while let Some(member) = tarball.next(&mut || target.check())? {
        target.count()?;
        let Some(path) = place(&member.name)? else { continue };
        let written = match member.kind {
            MemberKind::File => target.write(&path, &mut tarball),
            MemberKind::Folder => Ok(()),
            MemberKind::Other(kind) => Err(Error::invalid(format!("it is {kind}; only files are unpacked"))),
        };
        written.context(|| format!("entry \"{}\"", member.name))?;
    }
    Ok(())
}
