//! What one `run` took back, as one: listed, and undone.

use std::fmt::Write as _;

use serde_json::json;
use tern_recall::{BatchId, Recall, State, Submission};

use super::error::AdminError;
use super::{Admin, Call, Result, count};
use crate::control::request::Answer;

/// Messages that are named where another number of them was expected.
const NAMED: usize = 20;

impl Admin {
    /// The recalls of a batch.
    pub(super) fn batch(&self, text: &str) -> Result<(BatchId, Vec<Recall>)> {
        let wrong = || AdminError::Wrong(format!("`{text}` is not the id of a batch"));
        let batch = BatchId::from_hex(text).ok_or_else(wrong)?;
        let recalls = self.recalls.of_batch(batch)?;
        match recalls.is_empty() {
            true => Err(AdminError::NotFound("batch", text.to_owned())),
            false => Ok((batch, recalls)),
        }
    }

    /// Where an id is a batch's and no recall's, that is said.
    pub(super) fn not_a_batch(&self, text: &str) -> Result<()> {
        let Some(batch) = BatchId::from_hex(text) else {
            return Ok(());
        };
        match self.recalls.of_batch(batch)?.len() as u64 {
            0 => Ok(()),
            n => Err(AdminError::Wrong(format!(
                "`{text}` is a batch of {}: `--batch {text}` lists and restores it",
                count(n, "recall", "recalls")
            ))),
        }
    }

    /// Undoes whatever of a batch is done. What can't be undone keeps back none of the rest.
    pub(super) fn batch_restore(
        &self,
        text: &str,
        by: Option<&str>,
        call: &mut Call<'_>,
    ) -> Result<Answer> {
        let (batch, recalls) = self.batch(text)?;
        let (mut words, mut data) = (Vec::new(), Vec::new());
        let (mut undone, mut failed) = (0, 0);
        for recall in recalls {
            let (id, subject) = (recall.id, recall.subject_text());
            if recall.state != State::Done {
                let state = recall.state.code();
                words.push(format!("recall {id}: {state}, \"{subject}\""));
                data.push(json!({"id": id.to_string(), "state": state}));
                continue;
            }
            match self.recall_restore(&id.to_string(), by, call) {
                Ok(_) => {
                    undone += 1;
                    let state = self.recalls.recall(id)?.state.code();
                    words.push(format!("recall {id}: {state}, \"{subject}\""));
                    data.push(json!({"id": id.to_string(), "state": state}));
                }
                Err(error) => {
                    failed += 1;
                    words.push(format!("recall {id}: {error}, \"{subject}\""));
                    data.push(json!({"id": id.to_string(), "error": error.to_string()}));
                }
            }
        }
        words.push(format!("batch {batch}: {undone} undone, {failed} not"));
        Ok(Answer {
            found_wrong: failed > 0,
            ..Answer::new(
                words.join("\n"),
                json!({"batch": batch.to_string(), "recalls": data}),
            )
        })
    }

    /// Says what was found where another number was expected; nothing was touched.
    pub(super) fn unexpected(&self, found: &[Submission]) -> Result<Answer> {
        let ids: Vec<_> = found.iter().map(|one| one.id).collect();
        let put_back = self.recalls.put_back(&ids)?;
        let (mut text, mut data) = (String::new(), Vec::new());
        for one in found.iter().take(NAMED) {
            let (subject, sent) = (one.subject_text(), one.submitted);
            let _ = write!(text, "\"{subject}\", sent {sent}, <{}>", one.message_id);
            let before = put_back.get(&one.id).map(ToString::to_string);
            if let Some(id) = &before {
                let _ = write!(text, ", taken back and put back before: recall {id}");
            }
            text.push('\n');
            data.push(json!({"submission": one.id.to_string(), "subject": subject,
                "messageId": one.message_id, "putBackBy": before}));
        }
        let more = found.len().saturating_sub(NAMED);
        if more > 0 {
            let _ = writeln!(text, "and {more} more");
        }
        let data = json!({"unexpected": found.len(), "messages": data});
        Ok(Answer::new(text.trim_end(), data))
    }
}
