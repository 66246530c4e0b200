//! THREAD=REFERENCES (RFC 5256 3): who answers whom by Message-ID, then by subject.
//!
//! Invariants: parents never form a loop. What is held grows with the messages and with
//! [`MAX_THREAD_NODES`] of the ids that they name, of which only digests are kept: who makes two
//! ids collide only joins messages that could be joined by naming each other.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::forest::{Forest, Message};
use crate::limits::{MAX_THREAD_DEPTH, MAX_THREAD_NODES};

/// Messages that were read so far.
#[derive(Default)]
pub(super) struct References {
    nodes: Vec<Node>,
    by_id: BTreeMap<u64, u32>,
}

/// A message, or an id that others name.
#[derive(Default)]
struct Node {
    parent: Option<u32>,
    /// Something was once put below it.
    has_kids: bool,
    message: Option<Message>,
}

impl References {
    /// Step 1: a message with its own id and those that it refers to, the newest last.
    pub(super) fn add(&mut self, message: Message, id: Option<&str>, refers_to: &[&str]) {
        let node = self.own_node(id);
        let mut parent = None;
        for id in refers_to {
            let Some(next) = self.node_of(id) else {
                continue;
            };
            if let Some(parent) = parent
                && self.node(next).parent.is_none()
            {
                self.link(parent, next);
            }
            parent = Some(next);
        }
        // Step 1.B: what the message itself says counts more than what others said of it.
        self.node(node).parent = None;
        self.node(node).message = Some(message);
        if let Some(parent) = parent {
            self.link(parent, node);
        }
    }

    /// About the octets that it takes, and the tree that is made of it.
    pub(super) const fn octets(&self) -> u64 {
        const OF_ID: usize = 32;
        const OF_NODE: usize = size_of::<Node>() + OF_ID + 2 * size_of::<Vec<u32>>();
        (self.nodes.len() * OF_NODE) as u64
    }

    fn node(&mut self, at: u32) -> &mut Node {
        &mut self.nodes[at as usize]
    }

    fn new_node(&mut self) -> u32 {
        self.nodes.push(Node::default());
        u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
    }

    /// The node of a message: one of its own where it has no id, or one that was seen before.
    fn own_node(&mut self, id: Option<&str>) -> u32 {
        let Some(id) = id else {
            return self.new_node();
        };
        match self.by_id.get(&digest(id)).copied() {
            Some(known) if self.node(known).message.is_none() => known,
            Some(_) => self.new_node(),
            None => {
                let node = self.new_node();
                self.by_id.insert(digest(id), node);
                node
            }
        }
    }

    fn node_of(&mut self, id: &str) -> Option<u32> {
        let digest = digest(id);
        if let Some(known) = self.by_id.get(&digest) {
            return Some(*known);
        }
        if self.nodes.len() >= MAX_THREAD_NODES {
            return None;
        }
        let node = self.new_node();
        self.by_id.insert(digest, node);
        Some(node)
    }

    /// Puts `kid` below `parent` unless that made a loop.
    fn link(&mut self, parent: u32, kid: u32) {
        if parent == kid {
            return;
        }
        if self.node(kid).has_kids {
            let mut above = Some(parent);
            for _ in 0..MAX_THREAD_DEPTH {
                match above {
                    Some(node) if node == kid => return,
                    Some(node) => above = self.node(node).parent,
                    None => break,
                }
            }
            if above.is_some() {
                return;
            }
        }
        self.node(kid).parent = Some(parent);
        self.node(parent).has_kids = true;
    }

    /// Steps 2 to 6.
    pub(super) fn finish(self) -> Forest {
        let mut tree = Tree::of(&self.nodes);
        tree.sort();
        tree.join_subjects();
        tree.sort();
        let uids = tree
            .messages
            .iter()
            .map(|message| message.map(|message| message.uid))
            .collect();
        Forest::new(uids, tree.kids, &tree.roots)
    }
}

fn digest(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    match unquoted(id) {
        Some(id) => id.hash(&mut hasher),
        None => id.hash(&mut hasher),
    }
    hasher.finish()
}

/// RFC 5256 3 REFERENCES: an id whose left side is quoted is the same without; `None` where it is not.
fn unquoted(id: &str) -> Option<String> {
    let mut letters = id.strip_prefix('"')?.chars();
    let mut out = String::with_capacity(id.len());
    loop {
        match letters.next()? {
            '"' => break,
            '\\' => out.push(letters.next()?),
            letter => out.push(letter),
        }
    }
    let right = letters.as_str();
    out.push_str(right);
    right.starts_with('@').then_some(out)
}

/// The first message from `at` upwards, or the uppermost dummy. What was found for the dummies on
/// the way is remembered, since a chain of them may be as long as all that was read.
fn place_above(nodes: &[Node], mut at: u32, known: &mut [Option<u32>]) -> u32 {
    let mut passed = Vec::new();
    let found = loop {
        let node = &nodes[at as usize];
        match (&node.message, known[at as usize], node.parent) {
            (Some(_), ..) => break at,
            (None, Some(found), _) => break found,
            (None, None, parent) => {
                passed.push(at);
                match parent {
                    Some(parent) => at = parent,
                    None => break at,
                }
            }
        }
    };
    for dummy in passed {
        known[dummy as usize] = Some(found);
    }
    found
}

/// Messages below messages; roots may be dummies.
struct Tree<'a> {
    messages: Vec<Option<&'a Message>>,
    kids: Vec<Vec<u32>>,
    roots: Vec<u32>,
}

impl<'a> Tree<'a> {
    /// Steps 2 and 3: dummies give their kids to what is above them, but for those at the root
    /// that have more than one.
    fn of(nodes: &'a [Node]) -> Self {
        let mut tree = Self {
            messages: nodes.iter().map(|node| node.message.as_ref()).collect(),
            kids: vec![Vec::new(); nodes.len()],
            roots: Vec::new(),
        };
        let mut dummies = Vec::new();
        let mut known = vec![None; nodes.len()];
        for (at, node) in (0u32..).zip(nodes) {
            if node.message.is_none() {
                continue;
            }
            match node.parent {
                None => tree.roots.push(at),
                Some(parent) => {
                    let above = place_above(nodes, parent, &mut known);
                    if tree.message(above).is_none() && tree.kids(above).is_empty() {
                        dummies.push(above);
                    }
                    tree.kids(above).push(at);
                }
            }
        }
        for dummy in dummies {
            match tree.kids(dummy).as_slice() {
                [only] => {
                    let only = *only;
                    tree.roots.push(only);
                }
                _ => tree.roots.push(dummy),
            }
        }
        tree
    }

    fn message(&self, at: u32) -> Option<&'a Message> {
        self.messages.get(at as usize).copied().flatten()
    }

    fn kids(&mut self, at: u32) -> &mut Vec<u32> {
        &mut self.kids[at as usize]
    }

    /// The message of a root, or the first below a dummy.
    fn first(&self, root: u32) -> Option<&'a Message> {
        let below = || self.kids.get(root as usize)?.first();
        self.message(root)
            .or_else(|| below().and_then(|first| self.message(*first)))
    }

    /// Steps 4 and 6: siblings by sent date.
    fn sort(&mut self) {
        let when = |message: Option<&Message>| message.map(|message| (message.sent, message.uid));
        let messages = &self.messages;
        for kids in &mut self.kids {
            kids.sort_unstable_by_key(|kid| when(messages.get(*kid as usize).copied().flatten()));
        }
        let mut roots = std::mem::take(&mut self.roots);
        roots.sort_unstable_by_key(|root| when(self.first(*root)));
        self.roots = roots;
    }

    /// Step 5: roots of one subject become one thread.
    fn join_subjects(&mut self) {
        let mut by_subject: BTreeMap<u64, u32> = BTreeMap::new();
        for root in &self.roots {
            let Some(subject) = self.subject(*root) else {
                continue;
            };
            let better = by_subject.get(&subject).is_none_or(|held| {
                let is_reply = |root| self.message(root).is_some_and(|message| message.is_reply);
                self.message(*held).is_some()
                    && (self.message(*root).is_none() || (is_reply(*held) && !is_reply(*root)))
            });
            if better {
                by_subject.insert(subject, *root);
            }
        }
        let roots = std::mem::take(&mut self.roots);
        let mut gone = Vec::new();
        for root in &roots {
            let held = self
                .subject(*root)
                .and_then(|subject| by_subject.get_mut(&subject));
            let Some(held) = held.filter(|held| **held != *root) else {
                continue;
            };
            match self.join(*held, *root) {
                // Both now stand below a dummy, in the place of the one that was there.
                Some(dummy) => {
                    gone.extend([*held, *root]);
                    self.roots.push(dummy);
                    *held = dummy;
                }
                None => gone.push(*root),
            }
        }
        gone.sort_unstable();
        let stays = |root: &u32| gone.binary_search(root).is_err();
        self.roots.extend(roots.into_iter().filter(stays));
    }

    /// The subject of a thread; `None` where it is empty.
    fn subject(&self, root: u32) -> Option<u64> {
        self.first(root)?.subject
    }

    /// Step 5.C: `root` joins the thread `held`, or both a dummy that is made for them.
    fn join(&mut self, held: u32, root: u32) -> Option<u32> {
        match (self.message(held), self.message(root)) {
            (None, None) => {
                let kids = std::mem::take(self.kids(root));
                self.kids(held).extend(kids);
            }
            (None, Some(_)) => self.kids(held).push(root),
            (Some(first), Some(message)) if message.is_reply && !first.is_reply => {
                self.kids(held).push(root);
            }
            (Some(_), _) => {
                let dummy = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
                self.messages.push(None);
                self.kids.push(vec![held, root]);
                return Some(dummy);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::collation::same_text;
    use super::super::forest::written;
    use super::*;

    /// Messages as (id, references, subject, whether it is a reply), numbered from 1 and sent in
    /// that order.
    fn check(messages: &[(&str, &[&str], &str, bool)], expect: &str) {
        let mut references = References::default();
        for (uid, (id, refers_to, subject, is_reply)) in (1..).zip(messages) {
            let message = Message {
                uid,
                sent: u64::from(uid),
                subject: same_text(subject),
                is_reply: *is_reply,
            };
            references.add(message, (!id.is_empty()).then_some(*id), refers_to);
        }
        assert_eq!(written(references.finish()), expect, "{messages:?}");
    }

    #[test]
    fn by_reference() {
        check(&[], "");
        check(&[("a", &[], "x", false), ("b", &["a"], "x", true)], "(1 2)");
        // The answer came first; two answers; a reference that nobody has.
        check(&[("b", &["a"], "x", true), ("a", &[], "x", false)], "(2 1)");
        let two: [(&str, &[&str], &str, bool); 3] = [
            ("a", &[], "x", false),
            ("b", &["a"], "x", true),
            ("c", &["a"], "x", true),
        ];
        check(&two, "(1 (2)(3))");
        check(&two[1..], "((1)(2))");
        check(&[("c", &["a", "b"], "x", true)], "(1)");
        check(
            &[("a", &[], "x", false), ("c", &["a", "b"], "x", true)],
            "(1 2)",
        );
    }

    #[test]
    fn an_id_is_the_same_with_quotes_and_without() {
        let quoted: [(&str, &[&str], &str, bool); 4] = [
            (r#""a"@x"#, &[], "a", false),
            ("b@x", &["a@x"], "b", true),
            ("c@x", &[r#""\b"@x"#], "c", true),
            ("d@x", &[r#""c@x"#, r#""c"x"#, r#""c\"#], "d", true),
        ];
        check(&quoted, "(1 2 3)(4)");
    }

    #[test]
    fn loops_and_doubles() {
        check(
            &[("a", &["b"], "", false), ("b", &["a"], "", false)],
            "(2 1)",
        );
        check(&[("a", &["a"], "", false)], "(1)");
        check(&[("a", &[], "", false), ("a", &[], "", false)], "(1)(2)");
        check(&[("", &[], "", false), ("", &["z"], "", false)], "(1)(2)");
    }

    #[test]
    fn by_subject() {
        // A reply without references joins the first; two of equal standing a dummy.
        check(&[("a", &[], "x", false), ("b", &[], "x", true)], "(1 2)");
        check(&[("b", &[], "x", true), ("a", &[], "x", false)], "(2 1)");
        check(
            &[("a", &[], "x", false), ("b", &[], "x", false)],
            "((1)(2))",
        );
        check(
            &[
                ("a", &[], "x", false),
                ("b", &[], "x", false),
                ("c", &[], "x", false),
            ],
            "((1)(2)(3))",
        );
        check(&[("a", &[], "", false), ("b", &[], "", true)], "(1)(2)");
        // Two dummies of one subject become one.
        check(
            &[
                ("a", &["p"], "x", true),
                ("b", &["p"], "x", true),
                ("c", &["q"], "x", true),
                ("d", &["q"], "x", true),
            ],
            "((1)(2)(3)(4))",
        );
    }

    #[test]
    fn a_long_chain_of_messages_that_are_not_there() {
        let mut references = References::default();
        for uid in 1..=20_000u32 {
            let message = Message {
                uid,
                sent: u64::from(uid),
                subject: same_text("x"),
                is_reply: true,
            };
            let ids = [format!("gone {uid}"), format!("gone {}", uid + 1)];
            references.add(message, None, &[&ids[0], &ids[1]]);
        }
        let text = written(references.finish());
        assert!(text.starts_with("((1)(2)(3)"));
        assert!(text.ends_with("(19999)(20000))"));
    }

    #[test]
    fn a_long_conversation_is_one_line() {
        let mut references = References::default();
        for uid in 1..=20_000u32 {
            let message = Message {
                uid,
                sent: u64::from(uid),
                subject: same_text("x"),
                is_reply: uid > 1,
            };
            let parent = (uid - 1).to_string();
            let refers_to: &[&str] = if uid > 1 { &[&parent] } else { &[] };
            references.add(message, Some(&uid.to_string()), refers_to);
        }
        let text = written(references.finish());
        assert_eq!(text.matches('(').count(), 1);
        assert!(text.ends_with(" 19999 20000)"));
    }
}
