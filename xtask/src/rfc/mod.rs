//! `cargo xtask rfc`: collects the RFC citations in the comments of `crates/` into `docs/rfc.md`,
//! beside what `docs/rfc-support.toml` says about support. The page is generated whole, so it can't
//! claim a citation that the code doesn't have. Refuses an RFC without a title or without a word on
//! support.

mod citations;
mod page;
mod support;
mod titles;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::context::{Context, Outcome};
use crate::rust_source::RustSource;

const PAGE: &str = "docs/rfc.md";
const SUPPORT: &str = "docs/rfc-support.toml";

/// RFC number, then section (empty for the RFC as a whole), then file with how often it is cited.
type Citations = BTreeMap<u32, BTreeMap<String, BTreeMap<String, usize>>>;

/// Writes the page.
pub(crate) fn write(context: &Context) -> Outcome {
    let (page, gaps) = generate(context)?;
    let path = context.root.join(PAGE);
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    }
    fs::write(&path, page).map_err(|error| format!("{PAGE}: {error}"))?;
    println!("rfc: wrote {PAGE}");
    complain(&gaps)
}

/// Fails where the page is stale or an RFC lacks its title or support.
pub(crate) fn check(context: &Context) -> Outcome {
    let (page, gaps) = generate(context)?;
    complain(&gaps)?;
    let found = fs::read_to_string(context.root.join(PAGE)).unwrap_or_default();
    if found != page {
        return Err(format!(
            "{PAGE} is stale: run `cargo xtask rfc` and commit it"
        ));
    }
    println!("rfc: {PAGE} is up to date");
    Ok(())
}

fn complain(gaps: &[String]) -> Outcome {
    match gaps {
        [] => Ok(()),
        gaps => Err(gaps.join("\n  ")),
    }
}

fn generate(context: &Context) -> Outcome<(String, Vec<String>)> {
    let text = fs::read_to_string(context.root.join(SUPPORT)).unwrap_or_default();
    let support = support::parse(&text).map_err(|error| format!("{SUPPORT}:{error}"))?;
    let citations = collect(&context.root)?;
    let mut gaps = Vec::new();
    for number in citations.keys().chain(support.keys()) {
        if titles::title(*number).is_none() {
            gaps.push(format!(
                "RFC {number}: add its title to xtask/src/rfc/titles.rs"
            ));
        }
    }
    for number in citations
        .keys()
        .filter(|number| !support.contains_key(number))
    {
        gaps.push(format!(
            "RFC {number} is cited: add [{number}] with its support to {SUPPORT}"
        ));
    }
    gaps.sort();
    gaps.dedup();
    Ok((page::render(&citations, &support), gaps))
}

fn collect(root: &Path) -> Outcome<Citations> {
    let mut citations = Citations::new();
    let mut files = Vec::new();
    rust_files(&root.join("crates"), &mut files)
        .map_err(|error| format!("reading crates/: {error}"))?;
    files.sort();
    for file in files {
        let text =
            fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let path = file
            .strip_prefix(root)
            .unwrap_or(&file)
            .to_string_lossy()
            .into_owned();
        for (_, comment) in RustSource::scan(&text).comments {
            for (number, section) in citations::parse(&comment) {
                let sections = citations.entry(number).or_default();
                *sections
                    .entry(section)
                    .or_default()
                    .entry(path.clone())
                    .or_default() += 1;
            }
        }
    }
    Ok(citations)
}

fn rust_files(folder: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            rust_files(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
    Ok(())
}
