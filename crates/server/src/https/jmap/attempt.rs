//! One attempt to tell one subscription what it has not been told.
//!
//! Invariant: nothing but its code is sent to a URL that has not proved itself by it, and nothing that is
//! not in a StateChange: types and states, never what is in a message.

use std::sync::Arc;
use std::time::Duration;

use tern_base::AccountId;
use tern_directory::{DirectoryError, Proof, Subscription, SubscriptionId};
use tern_jmap::MethodError;
use tern_jmap::push::{Position, Wanted, look, parts, verification};

use super::Jmap;
use crate::clock;
use crate::web_push::{Answer, Failure, MAX_TEXT};

/// Where a subscription stands: what it asked for, and its position by that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stands {
    types: Option<Vec<String>>,
    at: Position,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was told, and stands there now.
    Told(Option<Stands>),
    /// There was nothing to tell it.
    NothingToTell(Option<Stands>),
    /// There is no such subscription any more.
    Over,
    /// It is to be tried again, not before the other end says.
    Failed(Option<Duration>),
    /// The same, and it is told too often.
    TooMany(Option<Duration>),
}

/// What there is to tell.
struct Letter {
    subscription: Subscription,
    /// More than one where one would be longer than a push service takes.
    texts: Vec<String>,
    /// Where it stands when it has it; `None` for the code.
    then: Option<Stands>,
}

enum Prepared {
    Letter(Box<Letter>),
    Nothing(Option<Stands>),
    Over,
}

#[derive(Debug, thiserror::Error)]
enum Unread {
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("the account can't be read: {}", .0.kind())]
    Account(MethodError),
}

/// Tells a subscription what there is to tell. One that can't be sent its code is given up at the last
/// try.
pub(super) async fn attempt(
    jmap: Arc<Jmap>,
    account: AccountId,
    id: SubscriptionId,
    stands: Option<Stands>,
    is_last_try: bool,
) -> Outcome {
    let prepare = {
        let jmap = Arc::clone(&jmap);
        move || jmap.prepare(account, id, stands)
    };
    let letter = match tokio::task::spawn_blocking(prepare).await {
        Ok(Ok(Prepared::Letter(letter))) => letter,
        Ok(Ok(Prepared::Nothing(stands))) => return Outcome::NothingToTell(stands),
        Ok(Ok(Prepared::Over)) => return Outcome::Over,
        Ok(Err(error)) => {
            tracing::warn!(%account, %error, "what is to be pushed could not be read");
            return Outcome::Failed(None);
        }
        Err(_) => return Outcome::Failed(None),
    };
    let sent = jmap.send_each(&letter).await;
    let proof = letter.subscription.proof;
    let outcome = match sent {
        Ok(Answer::Taken) => return note(jmap, account, *letter).await,
        Ok(Answer::Gone) => Outcome::Over,
        Ok(Answer::Later(asked)) => Outcome::Failed(asked),
        Ok(Answer::TooMany(asked)) => Outcome::TooMany(asked),
        Ok(Answer::Refused(status)) => {
            tracing::debug!(%account, subscription = id.0, status, "a push was refused");
            Outcome::Failed(None)
        }
        Err(Failure::OutOfReach | Failure::Unsendable) => {
            tracing::warn!(%account, subscription = id.0, "a push subscription leads nowhere");
            Outcome::Over
        }
        Err(Failure::Io(error)) => {
            tracing::debug!(%account, subscription = id.0, %error, "a push did not arrive");
            Outcome::Failed(None)
        }
    };
    let outcome = match outcome {
        Outcome::Failed(_) | Outcome::TooMany(_) if proof == Proof::Owed && is_last_try => {
            Outcome::Over
        }
        other => other,
    };
    if outcome == Outcome::Over {
        tracing::info!(%account, subscription = id.0, "a push subscription ended");
        let end = move || jmap.subscriptions.end(account, id);
        if !matches!(tokio::task::spawn_blocking(end).await, Ok(Ok(()))) {
            return Outcome::Failed(None);
        }
    }
    outcome
}

/// Keeps what a subscription was told.
async fn note(jmap: Arc<Jmap>, account: AccountId, letter: Letter) -> Outcome {
    let work = move || {
        let Letter {
            subscription, then, ..
        } = letter;
        match &then {
            Some(stands) => {
                let what = stands.at.to_string();
                jmap.subscriptions.was_told(account, &subscription, &what)?;
            }
            None => jmap.subscriptions.code_was_sent(account, subscription.id)?,
        }
        Ok::<_, DirectoryError>(then)
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(then)) => Outcome::Told(then),
        // It is told the same once more.
        Ok(Err(error)) => {
            tracing::error!(%account, %error, "what was pushed could not be noted");
            Outcome::Failed(None)
        }
        Err(_) => Outcome::Failed(None),
    }
}

impl Jmap {
    /// Sends texts, one after another, up to one that is not taken: then all are sent again another time.
    async fn send_each(&self, letter: &Letter) -> Result<Answer, Failure> {
        for text in &letter.texts {
            match self.web_push.send(&letter.subscription, text).await? {
                Answer::Taken => {}
                other => return Ok(other),
            }
        }
        Ok(Answer::Taken)
    }

    /// What there is to tell a subscription.
    fn prepare(
        &self,
        account: AccountId,
        id: SubscriptionId,
        stands: Option<Stands>,
    ) -> Result<Prepared, Unread> {
        let Some(subscription) = self.subscriptions.one(account, id)? else {
            return Ok(Prepared::Over);
        };
        // RFC 8620 7.2: no request after that time.
        if subscription.expires <= clock::now() {
            self.subscriptions.end(account, id)?;
            return Ok(Prepared::Over);
        }
        let (texts, then) = match subscription.proof {
            Proof::Sent => return Ok(Prepared::Nothing(None)),
            Proof::Owed => (vec![verification(account, &subscription).to_string()], None),
            Proof::Given => {
                let types = &subscription.types;
                let wanted = match types {
                    Some(names) => Wanted::of(names.iter().map(String::as_str)),
                    None => Some(Wanted::ALL),
                };
                // It was bounded when it was set.
                let wanted = wanted.unwrap_or(Wanted::ALL);
                let stands = stands.filter(|stands| stands.types == *types);
                let at = match stands {
                    Some(stands) => Some(stands.at),
                    None => {
                        let told = self.subscriptions.told(account, id)?;
                        told.and_then(|told| Position::parse(&told))
                    }
                };
                let looked = look(&self.verbs(), account, &wanted, at.as_ref());
                let (at, change) = looked.map_err(Unread::Account)?;
                self.shared.hub.bag.watch(account, at.others().collect());
                let stands = Some(Stands {
                    types: types.clone(),
                    at,
                });
                match change {
                    Some(change) => (parts(&change, MAX_TEXT), stands),
                    None => return Ok(Prepared::Nothing(stands)),
                }
            }
        };
        Ok(Prepared::Letter(Box::new(Letter {
            subscription,
            texts,
            then,
        })))
    }
}
