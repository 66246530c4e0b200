//! The text of `docs/rfc.md`: one table of RFCs, then the sections of each with the files that cite
//! them. The same input always gives the same text.

use std::collections::{BTreeMap, BTreeSet};

use super::support::Support;
use super::{Citations, titles};

const OPENING: &str = "\
# RFCs

Written by `cargo xtask rfc` from the citations in `crates/` and from `docs/rfc-support.toml`; edit
those. *Support* is a judgement; *cited* counts the comments that name the RFC, so the code beside
them can be read against it.

";

pub(super) fn render(citations: &Citations, support: &BTreeMap<u32, Support>) -> String {
    let mut text = String::from(OPENING);
    text += "| RFC | Title | Support | Cited | What is missing |\n|---|---|---|---|---|\n";
    let numbers: BTreeSet<u32> = citations.keys().chain(support.keys()).copied().collect();
    for number in numbers {
        let cited: usize = citations.get(&number).map_or(0, |sections| {
            sections.values().flat_map(BTreeMap::values).sum()
        });
        let said = support.get(&number).cloned().unwrap_or_default();
        let title = titles::title(number).unwrap_or_default();
        let Support { word, reason } = said;
        let link = format!("[{number}](https://www.rfc-editor.org/rfc/rfc{number})");
        text += &format!("| {link} | {title} | {word} | {cited} | {reason} |\n");
    }
    text += "\n## Where each section is obeyed\n";
    for (number, sections) in citations {
        text += &format!("\n### RFC {number}\n\n| Section | Cited | Files |\n|---|---|---|\n");
        let mut rows: Vec<_> = sections.iter().collect();
        rows.sort_by_key(|(section, _)| order(section));
        for (section, files) in rows {
            let cited: usize = files.values().sum();
            let section = if section.is_empty() {
                "as a whole"
            } else {
                section
            };
            let files = files
                .keys()
                .map(|file| format!("`{file}`"))
                .collect::<Vec<_>>();
            text += &format!("| {section} | {cited} | {} |\n", files.join(", "));
        }
    }
    text
}

/// 6.4.8 before 6.4.10; appendices last.
fn order(section: &str) -> (bool, Vec<u32>, String) {
    let numbers = section
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect();
    (
        section.to_ascii_lowercase().starts_with("appendix"),
        numbers,
        section.to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_lists_cited_and_uncited_rfcs() {
        let files = |count| BTreeMap::from([("crates/imap/src/a.rs".to_owned(), count)]);
        let sections =
            ["6.4.10", "6.4.8", "", "Appendix A"].map(|name| (name.to_owned(), files(2)));
        let citations = Citations::from([(9051, BTreeMap::from(sections))]);
        let said = |word: &str, reason: &str| Support {
            word: word.to_owned(),
            reason: reason.to_owned(),
        };
        let support = BTreeMap::from([(9051, said("yes", "")), (5465, said("no", "later"))]);
        let page = render(&citations, &support);
        assert!(
            page.contains("rfc5465) | The IMAP NOTIFY Extension | no | 0 | later |"),
            "{page}"
        );
        assert!(page.contains(" | yes | 8 |  |"), "{page}");
        let order: Vec<_> = ["as a whole", "6.4.8", "6.4.10", "Appendix A"]
            .map(|section| page.find(&format!("| {section} | 2 |")))
            .into_iter()
            .collect();
        assert!(
            order.iter().all(Option::is_some) && order.is_sorted(),
            "{page}"
        );
    }
}
