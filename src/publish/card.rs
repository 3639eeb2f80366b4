//! The README of a data set: a front matter, which `load_dataset` reads, and a card for people.
//!
//! Of an existing README, the keys that are not ours stay, other configurations, and everything outside of the two marks.

use serde_json::{Value, json};

use super::{
    configs::Others,
    features::Features,
    provenance::{Provenance, Split},
};
use crate::error::{Error, Result};

const BEGIN: &str = "<!-- merganser: begin -->";
const END: &str = "<!-- merganser: end -->";
/// The keys of the front matter that are ours.
const OURS: [&str; 2] = ["configs", "dataset_info"];

/// The README of a data set `repo`, which has an `old` one perhaps.
///
/// # Errors
/// `FailedPrecondition` if another configuration uses the folder of our files; Internal if the front matter cannot be
/// written.
pub fn readme(repo: &str, features: &Features, provenance: &Provenance, old: Option<&str>) -> Result<String> {
    let (front, body) = old.map_or(("", None), |old| {
        let (front, body) = divide(old);
        (front, Some(body))
    });
    let (kept, others) = (without_ours(front), Others::of(front)?);
    let ours = serde_saphyr::to_string(&front_matter(features, provenance, &others))
        .map_err(|err| Error::internal("write YAML").with_source(err.to_string()))?;
    let card = format!("{BEGIN}\n{}\n{END}", card(repo, features, provenance));
    let body = match body {
        None => format!("# {}\n\n{card}\n", repo.split('/').next_back().unwrap_or(repo)),
        Some(body) => match (body.find(BEGIN), body.find(END)) {
            (Some(begin), Some(end)) if begin < end => {
                format!("{}{card}{}", &body[..begin], &body[end + END.len()..])
            }
            _ => format!("{}\n\n{card}\n", body.trim_end()),
        },
    };
    Ok(format!("---\n{kept}{}\n---\n{}", ours.trim_end(), body.trim_start_matches('\n')))
}

fn front_matter(features: &Features, provenance: &Provenance, others: &Others) -> Value {
    let split = |split: &Split| json!({"name": split.name, "num_bytes": split.bytes, "num_examples": split.rows});
    let bytes: u64 = provenance.splits.iter().map(|split| split.bytes).sum();
    let data_files = |split: &Split| json!({"split": split.name, "path": format!("data/{}-*", split.name)});
    json!({
        "configs": others.configs(&provenance.splits.iter().map(data_files).collect()),
        "dataset_info": others.infos(json!({
            "features": features.front_matter(),
            "splits": provenance.splits.iter().map(split).collect::<Vec<_>>(),
            "download_size": bytes,
            "dataset_size": bytes,
        })),
    })
}

fn card(repo: &str, features: &Features, provenance: &Provenance) -> String {
    let Provenance { source, splits, lineage, .. } = provenance;
    let mut text = match (&source.table, &source.query) {
        (Some(table), _) => format!("The rows of the table `{table}` of a lakehouse"),
        (None, query) => {
            let query = query.as_deref().unwrap_or_default();
            format!("The rows of a query in a lakehouse:\n\n```sql\n{query}\n```\n\nThey were read")
        }
    };
    text += &format!(
        " at snapshot {} ({}).\n\n## Splits\n\n| split | rows | files | bytes |\n|---|---|---|---|\n",
        provenance.snapshot_id, provenance.snapshot_time
    );
    for Split { name, rows, files, bytes } in splits {
        text += &format!("| {name} | {rows} | {files} | {bytes} |\n");
    }
    if let Some(media) = &provenance.media {
        text += &format!("\n{} files with media ({} bytes) are in the folder `media`.\n", media.files, media.bytes);
    }
    text += "\n## Columns\n\n| column | type |\n|---|---|\n";
    for (name, described) in features.described() {
        text += &format!("| {} | {described} |\n", cell(name));
    }
    text += "\n## Lineage\n\n| table | changed by snapshot | with |\n|---|---|---|\n";
    for read in lineage {
        let snapshot = read.snapshot_id.map_or_else(|| "–".to_owned(), |id| id.to_string());
        text += &format!("| {} | {snapshot} | {} |\n", cell(&read.table), cell(read.message.as_deref().unwrap_or("–")));
    }
    text += &format!(
        "\n`lakehouse.json` has this in a form for programs.\n\n## Load\n\n```python\nfrom datasets import load_dataset\n\n\
         data = load_dataset(\"{repo}\")\n```"
    );
    text
}

/// A text in a cell of a table.
fn cell(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    text.replace('\\', "\\\\").replace('|', "\\|").replace('<', "&lt;")
}

/// The front matter of a README, without its lines of `---`, and what follows.
fn divide(readme: &str) -> (&str, &str) {
    let text = readme.strip_prefix('\u{feff}').unwrap_or(readme);
    let rest = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n"));
    let Some(rest) = rest else { return ("", text) };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return (&rest[..at], &rest[at + line.len()..]);
        }
        at += line.len();
    }
    ("", text)
}

/// The lines of a front matter that do not belong to our keys: a key reaches to the next line that begins with a letter.
fn without_ours(front: &str) -> String {
    let mut is_ours = false;
    let mut kept = String::new();
    for line in front.lines() {
        if line.starts_with(|c: char| !c.is_whitespace() && !"-}]#".contains(c)) {
            let key = line.split(':').next().unwrap_or_default().trim_matches(['"', '\'']);
            is_ours = OURS.contains(&key);
        }
        if !is_ours {
            kept += line;
            kept.push('\n');
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_stays() {
        let old = "---\nlicense: mit\ndataset_info:\n  features:\n  - name: a\n    dtype: int64\ntags:\n- x\nconfigs:\n- a: b\n---\n# Mine\ntext\n";
        let (front, body) = divide(old);
        assert_eq!(without_ours(front), "license: mit\ntags:\n- x\n");
        assert_eq!(body, "# Mine\ntext\n");
        assert_eq!(divide("# no front matter\n---\n"), ("", "# no front matter\n---\n"));
        assert_eq!(divide("---\nnever: ends\n"), ("", "---\nnever: ends\n"));
    }
}
