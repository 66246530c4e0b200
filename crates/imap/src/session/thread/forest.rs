//! Threads as they are told: messages, and below each what answers it.
//!
//! Invariant: only a root may stand for a message that is not there, and only with two or more
//! below it. Nothing recurses, since a thread may be as deep as the mailbox is large.

/// What of a message its thread depends on.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) uid: u32,
    /// Milliseconds.
    pub(super) sent: u64,
    /// A digest of the base subject as it is compared; `None` of an empty one.
    pub(super) subject: Option<u64>,
    pub(super) is_reply: bool,
}

/// A piece of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Space,
    Uid(u32),
}

/// Threads that are yet to be written.
pub(super) struct Forest {
    /// By node, its UID; `None` where no message is.
    uids: Vec<Option<u32>>,
    kids: Vec<Vec<u32>>,
    /// What comes next, the last first.
    next: Vec<Next>,
}

#[derive(Clone, Copy)]
enum Next {
    Token(Token),
    /// A node in parentheses.
    List(u32),
    /// A node and what is below it.
    Members(u32),
}

impl Forest {
    pub(super) fn new(uids: Vec<Option<u32>>, kids: Vec<Vec<u32>>, roots: &[u32]) -> Self {
        let next = roots.iter().rev().map(|root| Next::List(*root)).collect();
        Self { uids, kids, next }
    }

    /// Whether nothing is left to write.
    pub(super) const fn is_empty(&self) -> bool {
        self.next.is_empty()
    }

    /// RFC 5256 5 thread-list.
    pub(super) fn next_token(&mut self) -> Option<Token> {
        loop {
            match self.next.pop()? {
                Next::Token(token) => return Some(token),
                Next::List(node) => {
                    self.next.push(Next::Token(Token::Close));
                    self.next.push(Next::Members(node));
                    return Some(Token::Open);
                }
                Next::Members(node) => {
                    let at = node as usize;
                    let kids = self.kids.get(at).map(Vec::as_slice).unwrap_or_default();
                    match kids {
                        // An only answer goes on in the same list.
                        [kid] => self.next.push(Next::Members(*kid)),
                        kids => self
                            .next
                            .extend(kids.iter().rev().map(|kid| Next::List(*kid))),
                    }
                    let Some(uid) = self.uids.get(at).copied().flatten() else {
                        continue;
                    };
                    if !kids.is_empty() {
                        self.next.push(Next::Token(Token::Space));
                    }
                    return Some(Token::Uid(uid));
                }
            }
        }
    }
}

/// ORDEREDSUBJECT (RFC 5256 3): the first message of a subject, and below it all others.
pub(super) fn by_subject(mut messages: Vec<Message>) -> Forest {
    messages.sort_unstable_by_key(|message| (message.subject, message.sent, message.uid));
    let mut kids: Vec<Vec<u32>> = vec![Vec::new(); messages.len()];
    let mut roots: Vec<(u64, u32, u32)> = Vec::new();
    let mut subject = None;
    for (node, message) in (0..).zip(&messages) {
        match roots.last() {
            Some((.., root)) if subject == Some(message.subject) => {
                if let Some(kids) = kids.get_mut(*root as usize) {
                    kids.push(node);
                }
            }
            _ => {
                subject = Some(message.subject);
                roots.push((message.sent, message.uid, node));
            }
        }
    }
    roots.sort_unstable();
    let roots: Vec<u32> = roots.into_iter().map(|(.., node)| node).collect();
    let uids = messages.iter().map(|message| Some(message.uid)).collect();
    Forest::new(uids, kids, &roots)
}

#[cfg(test)]
pub(super) fn written(mut forest: Forest) -> String {
    let mut out = String::new();
    while let Some(token) = forest.next_token() {
        match token {
            Token::Open => out.push('('),
            Token::Close => out.push(')'),
            Token::Space => out.push(' '),
            Token::Uid(uid) => out.push_str(&uid.to_string()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::super::collation::same_text;
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 5256 4: message 2; 3, then 6 with the two subthreads 4 23 and 44 7 96.
        let numbers = [2, 3, 6, 4, 23, 44, 7, 96];
        let kids = [
            vec![],
            vec![2],
            vec![3, 5],
            vec![4],
            vec![],
            vec![6],
            vec![7],
            vec![],
        ];
        let forest = Forest::new(numbers.map(Some).to_vec(), kids.to_vec(), &[0, 1]);
        assert_eq!(written(forest), "(2)(3 6 (4 23)(44 7 96))");
        let kids = vec![vec![1, 2], vec![], vec![]];
        let forest = Forest::new(vec![None, Some(3), Some(5)], kids, &[0]);
        assert_eq!(written(forest), "((3)(5))");
    }

    #[test]
    fn subjects() {
        let message = |uid, sent, subject: &str| Message {
            uid,
            sent,
            subject: same_text(subject),
            is_reply: false,
        };
        let messages = vec![
            message(1, 50, "b"),
            message(2, 20, "a"),
            message(3, 10, "b"),
            message(4, 30, "a"),
            message(5, 60, "b"),
            message(6, 70, ""),
            message(7, 80, ""),
        ];
        assert_eq!(written(by_subject(messages)), "(3 (1)(5))(2 4)(6 7)");
    }
}
