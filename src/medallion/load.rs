//! Loads models: the built-in ones, or a folder that replaces them.

use std::{collections::HashMap, fs, path::Path};

use super::{Model, parse};
use crate::error::{Context, Error, Result};

/// The built-in files, in the order of the layers.
const BUILT_IN: [(&str, &str); 4] = [
    ("10_raw.sql", include_str!("../../sql/10_raw.sql")),
    ("20_silver.sql", include_str!("../../sql/20_silver.sql")),
    ("30_gold.sql", include_str!("../../sql/30_gold.sql")),
    ("31_visdrone.sql", include_str!("../../sql/31_visdrone.sql")),
];

/// The built-in models.
///
/// # Errors
/// Only for a mistake in those files, which a test would find.
pub fn built_in() -> Result<Vec<Model>> {
    let mut models = Vec::new();
    for (file, text) in BUILT_IN {
        models.extend(parse(file, text)?);
    }
    check_names(&models)?;
    Ok(models)
}

/// The models in all `*.sql` files of `folder`, ordered by file name.
///
/// # Errors
/// `NotFound` if the folder does not exist; `InvalidArgument` for a mistake, with file and line, for a table that has
/// two sections, and for a folder without any model.
pub fn load(folder: &Path) -> Result<Vec<Model>> {
    let doing = || format!("load models from \"{}\"", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).context(doing)? {
        let path = entry.context(doing)?.path();
        if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql")) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut models = Vec::new();
    for path in files {
        let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let text = fs::read_to_string(&path).context(|| format!("read \"{}\"", path.display())).context(doing)?;
        models.extend(parse(&file, &text).context(doing)?);
    }
    if models.iter().all(Model::is_source) {
        return Err(Error::invalid("no *.sql file in it has a line \"-- model: layer.table\"").context(doing()));
    }
    check_names(&models).context(doing)?;
    Ok(models)
}

/// A table with two sections would have two definitions.
fn check_names(models: &[Model]) -> Result<()> {
    let mut seen = HashMap::new();
    for model in models {
        if let Some(first) = seen.insert(model.name(), &model.origin) {
            let (name, origin) = (model.name(), &model.origin);
            return Err(Error::invalid(format!("{origin}: {name} has a section already, at {first}")));
        }
    }
    Ok(())
}
