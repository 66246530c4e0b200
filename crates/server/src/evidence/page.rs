//! The evidence as a page to print: plain HTML, no script, nothing loaded from elsewhere.
//!
//! Invariant: every text of the evidence is escaped on its way in, whoever wrote it. What the page
//! does not know it shows as the JSON names it, so that nothing of the evidence is left out of what is
//! shown of a copy.

use std::fmt::Write as _;

use serde_json::Value;

const STYLE: &str = "\
@page { size: A4; margin: 16mm 14mm; }\n\
body { font: 10.5pt/1.4 'Liberation Sans', Arial, sans-serif; color: #111; max-width: 182mm; \
margin: 8mm auto; }\n\
h1 { font-size: 17pt; margin: 0 0 1mm; }\n\
h2 { font-size: 12.5pt; margin: 8mm 0 2mm; border-bottom: 0.4mm solid #111; break-after: avoid; }\n\
p.lead { margin: 0 0 4mm; color: #444; }\n\
table { border-collapse: collapse; width: 100%; table-layout: fixed; }\n\
th, td { text-align: left; vertical-align: top; padding: 1.2mm 2mm 1.2mm 0; \
border-bottom: 0.2mm solid #bbb; overflow-wrap: anywhere; }\n\
thead { display: table-header-group; }\n\
tr { break-inside: avoid; }\n\
table.facts th { width: 54mm; font-weight: normal; color: #444; }\n\
td small { display: block; color: #444; font-size: 9pt; }\n\
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 8.5pt/1.35 'Liberation Mono', monospace; \
background: #f4f4f4; padding: 2mm; }\n\
@media print { body { margin: 0; max-width: none; } pre { background: none; border: 0.2mm solid \
#bbb; } }\n";

/// The page of a file of evidence.
pub(crate) fn page(file: &Value) -> String {
    let evidence = &file["evidence"];
    let recall = &evidence["recall"];
    let title = format!("Evidence of recall {}", plain(&recall["id"]));
    let mut page = Page::default();
    let head = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
                <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
                style-src 'unsafe-inline'\">\n<meta name=\"viewport\" \
                content=\"width=device-width\">\n<title>";
    page.raw(head);
    page.text(&title);
    page.raw("</title>\n<style>\n");
    page.raw(STYLE);
    page.raw("</style>\n</head>\n<body>\n<h1>");
    page.text(&title);
    page.raw("</h1>\n<p class=\"lead\">");
    let lead = format!(
        "Written by the mail server {} at {} for {}. The file beside this page proves it: see the \
         last part.",
        plain(&evidence["log"]["name"]).trim_end_matches("/tern-audit"),
        plain(&evidence["writtenAt"]),
        plain(&evidence["writtenFor"]),
    );
    page.text(&lead);
    page.raw("</p>\n");
    request(&mut page, evidence);
    message(&mut page, &evidence["message"]);
    outcomes(&mut page, recall);
    copies(&mut page, recall);
    answers(&mut page, recall);
    decision(&mut page, evidence);
    entries(&mut page, &evidence["log"]);
    proof(&mut page, file);
    page.raw("</body>\n</html>\n");
    page.0
}

fn request(page: &mut Page, evidence: &Value) {
    let recall = &evidence["recall"];
    page.heading("The recall");
    page.facts(&[
        ("State", plain(&recall["state"])),
        ("Taken back", plain(&recall["withdrawn"])),
        ("Asked by", plain(&recall["requestedBy"])),
        ("Asked at", plain(&recall["requestedAt"])),
        ("Asked over", plain(&recall["requestedOver"])),
        ("Reason given", plain(&recall["reason"])),
        ("Refused as", plain(&recall["refusal"])),
        ("Only from", plain(&recall["recipients"])),
        ("Only copies", plain(&recall["only"])),
        ("Every copy settled at", plain(&recall["finishedAt"])),
        ("Undone at", plain(&recall["restoredAt"])),
        ("Verdict", plain(&evidence["decision"]["verdict"])),
        ("Decided by", plain(&evidence["decision"]["policies"])),
    ]);
    let approvals = &recall["waiting"]["approvals"];
    page.table("Approvals", &["By", "At", "Reason"], approvals, |one| {
        vec![plain(&one["by"]), plain(&one["at"]), plain(&one["reason"])]
    });
}

fn message(page: &mut Page, message: &Value) {
    if message.is_null() {
        return;
    }
    page.heading("The message");
    page.facts(&[
        ("Subject", plain(&message["subject"])),
        ("Sent by", plain(&message["sender"])),
        ("Sent at", plain(&message["submittedAt"])),
        ("Message-ID", plain(&message["messageId"])),
        ("Octets", plain(&message["octets"])),
        ("Content digest", plain(&message["contentDigest"])),
    ]);
    let columns = ["Addressed to", "By way of", "Reached"];
    let recipients = &message["recipients"];
    page.table("Where it was sent", &columns, recipients, |one| {
        let reached = format!("{} ({})", plain(&one["address"]), plain(&one["kind"]));
        vec![plain(&one["recipient"]), plain(&one["via"]), reached]
    });
}

fn outcomes(page: &mut Page, recall: &Value) {
    page.heading("What became of it");
    let outcomes = recall["outcomes"].as_object().into_iter().flatten();
    let outcomes = outcomes.map(|(name, n)| (name.as_str(), plain(n)));
    page.facts(&outcomes.collect::<Vec<_>>());
}

fn answers(page: &mut Page, recall: &Value) {
    let columns = ["Whose", "Subject", "What became of it"];
    let title = "What answers it and may quote it";
    page.table(title, &columns, &recall["answers"], |one| {
        let mut whose = plain(&one["sender"]);
        line(&mut whose, "answers away:", &one["depth"]);
        line(&mut whose, "at", &one["submittedAt"]);
        let mut subject = plain(&one["subject"]);
        line(&mut subject, "Message-ID", &one["messageId"]);
        line(&mut subject, "submission", &one["submission"]);
        let mut became = plain(&one["outcome"]);
        line(&mut became, "", &one["sentence"]);
        line(&mut became, "recall", &one["recall"]);
        vec![whose, subject, became]
    });
}

fn copies(page: &mut Page, recall: &Value) {
    let columns = ["Whose copy", "What became of it", "What had been served"];
    page.table("Every copy", &columns, &recall["copies"], |copy| {
        let mut whose = plain(&copy["recipient"]);
        line(&mut whose, "via", &copy["via"]);
        line(&mut whose, "in", &copy["mailboxes"]);
        let mut became = plain(&copy["outcome"]);
        line(&mut became, "", &copy["sentence"]);
        line(&mut became, "at", &copy["at"]);
        line(&mut became, "put back", &copy["restoredAt"]);
        line(&mut became, "removed for good", &copy["purgedAt"]);
        let known = [
            "recipient",
            "via",
            "mailboxes",
            "outcome",
            "reason",
            "sentence",
            "at",
            "restoredAt",
            "purgedAt",
        ];
        let mut served = String::new();
        for (name, value) in copy.as_object().into_iter().flatten() {
            if !known.contains(&name.as_str()) {
                flatten(&mut served, name, value);
            }
        }
        if served.is_empty() {
            served.push_str("nothing on record");
        }
        vec![whose, became, served]
    });
    match recall["moreCopies"].as_u64() {
        None | Some(0) => {}
        Some(more) => page.facts(&[("Copies not shown", more.to_string())]),
    }
}

fn decision(page: &mut Page, evidence: &Value) {
    let inputs = &evidence["decision"]["inputs"];
    let Some(inputs) = inputs.as_object().filter(|inputs| !inputs.is_empty()) else {
        return;
    };
    page.heading("What the policies were told");
    let inputs: Vec<_> = inputs.iter().map(|(n, v)| (n.as_str(), plain(v))).collect();
    page.facts(&inputs);
}

fn entries(page: &mut Page, log: &Value) {
    let columns = ["Entry", "Who", "What"];
    page.table("The log about it", &columns, &log["entries"], |one| {
        let entry = &one["entry"];
        let mut place = plain(&entry["sequence"]);
        line(&mut place, "", &entry["time"]);
        let actor = &entry["actor"];
        let names = ["name", "address", "claimed", "kind"];
        let name = names
            .iter()
            .map(|name| plain(&actor[name]))
            .find(|n| !n.is_empty());
        let mut who = name.unwrap_or_default();
        line(&mut who, "for", &entry["on_behalf_of"]);
        line(&mut who, "over", &entry["protocol"]);
        line(&mut who, "from", &entry["peer"]);
        let mut what = plain(&entry["action"]);
        for (name, value) in entry["details"].as_object().into_iter().flatten() {
            line(&mut what, name, value);
        }
        vec![place, who, what]
    });
    let removed = log["removed"].as_u64().unwrap_or_default();
    if removed > 0 {
        page.raw("<p>");
        page.text(&format!(
            "The log's first {removed} entries were removed when their time was over, on record. What \
             stood in them about this recall is not known here any more: that nothing is listed from that \
             time does not say that nothing happened."
        ));
        page.raw("</p>\n");
    }
}

fn proof(page: &mut Page, file: &Value) {
    let log = &file["evidence"]["log"];
    page.heading("Proof");
    page.raw("<p>");
    page.text(
        "The file is signed by the key of the server's audit log. Each entry above is proven to be \
         under the checkpoint below. \u{201c}tern recall verify-evidence FILE --key KEY\u{201d} \
         verifies the file without the server; docs/evidence.md describes how any program does. \
         Compare the key with one that you had before.",
    );
    page.raw("</p>\n");
    for key in log["keys"].as_array().into_iter().flatten() {
        page.pre(&plain(&key["key"]));
    }
    page.pre(&plain(&log["checkpoint"]));
    page.pre(&plain(&file["signature"]));
}

/// A page under way.
#[derive(Default)]
struct Page(String);

impl Page {
    /// Takes markup of this file.
    fn raw(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    /// Takes any text. A line end begins a smaller line.
    fn text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // Others would show as nothing, or turn the text around.
                '\n' | '\t' => self.0.push(c),
                c if c.is_control() || is_bidi(c) => self.0.push('\u{fffd}'),
                c => self.0.push(c),
            }
        }
    }

    fn heading(&mut self, text: &str) {
        self.raw("<h2>");
        self.text(text);
        self.raw("</h2>\n");
    }

    fn pre(&mut self, text: &str) {
        self.raw("<pre>");
        self.text(text);
        self.raw("</pre>\n");
    }

    /// Names and values; those without a value are left out.
    fn facts(&mut self, facts: &[(&str, String)]) {
        self.raw("<table class=\"facts\">\n");
        for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
            self.raw("<tr><th>");
            self.text(name);
            self.raw("</th><td>");
            self.text(value);
            self.raw("</td></tr>\n");
        }
        self.raw("</table>\n");
    }

    /// A row for each of a list, with a heading where there is one.
    fn table(
        &mut self,
        heading: &str,
        columns: &[&str],
        list: &Value,
        row: impl Fn(&Value) -> Vec<String>,
    ) {
        let Some(list) = list.as_array().filter(|list| !list.is_empty()) else {
            return;
        };
        self.heading(heading);
        self.raw("<table>\n<thead><tr>");
        for column in columns {
            self.raw("<th>");
            self.text(column);
            self.raw("</th>");
        }
        self.raw("</tr></thead>\n<tbody>\n");
        for one in list {
            self.raw("<tr>");
            for cell in row(one) {
                self.cell(&cell);
            }
            self.raw("</tr>\n");
        }
        self.raw("</tbody>\n</table>\n");
    }

    /// The first line of a cell, and smaller ones below.
    fn cell(&mut self, cell: &str) {
        self.raw("<td>");
        for (n, line) in cell.split('\n').enumerate() {
            if n == 0 {
                self.text(line);
            } else {
                self.raw("<small>");
                self.text(line);
                self.raw("</small>");
            }
        }
        self.raw("</td>");
    }
}

/// Characters that turn the direction of a text.
const fn is_bidi(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A value as people read it: nothing for null, a list by commas.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// Adds a line to a cell, where there is something to say.
fn line(cell: &mut String, name: &str, value: &Value) {
    let value = plain(value).replace('\n', " ");
    if value.is_empty() {
        return;
    }
    let _ = match name {
        "" => write!(cell, "\n{value}"),
        name => write!(cell, "\n{name} {value}"),
    };
}

/// Adds what a value holds, line by line, under its names.
fn flatten(cell: &mut String, name: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                flatten(cell, field, value);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            for one in list {
                flatten(cell, name, one);
            }
        }
        value => line(cell, name, value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nothing_of_the_evidence_becomes_markup() {
        let evil = "<script>alert('1')</script>\"&\u{202e}\u{7}";
        let copy = json!({"recipient": evil, "via": [evil], "outcome": evil, "sentence": evil,
            "exposure": {"level": evil, "servings": [{"client": evil}]}});
        let entry = json!({"entry": {"sequence": 1, "actor": {"name": evil}, "action": evil,
            "details": {evil: evil}}});
        let file = json!({"signature": evil, "evidence": {"writtenFor": evil, "writtenAt": evil,
            "recall": {"id": evil, "subject": evil, "reason": evil, "copies": [copy],
                "outcomes": {evil: 1}, "waiting": {"approvals": [{"by": evil}]}},
            "message": {"subject": evil, "recipients": [{"recipient": evil}]},
            "decision": {"inputs": {evil: evil}},
            "log": {"name": evil, "keys": [{"key": evil}], "checkpoint": evil,
                "entries": [entry]}}});
        let page = page(&file);
        for wrong in ["<script", "alert('", "\u{202e}", "\u{7}"] {
            assert!(!page.contains(wrong), "{wrong:?}");
        }
        let times = page.matches("&lt;script&gt;alert(&#39;1&#39;)").count();
        assert!(times >= 20, "{times}: something is left out");
        assert!(
            page.contains("<small>client &lt;script"),
            "of a copy everything is shown"
        );
    }
}
