//! Whatever somebody asks for and whenever rights come and go, no octet of a message leaves for whoever
//! has no right to read it at that moment, and no name of a mailbox for whoever may not see it.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{Client, House};
use tern_base::Entropy as _;
use tern_session::Protocol as _;

/// Mailboxes of Bob's: each has messages in which its own word is, and nowhere else.
const BOXES: [(&str, &str); 4] = [
    ("Alpha", "wordofalpha"),
    ("Beta", "wordofbeta"),
    ("Beta/Gamma", "wordofgamma"),
    ("De%l*ta", "wordofdelta"),
];

/// What Alice asks for of a mailbox of Bob's.
const ASKED: [&str; 25] = [
    "EXAMINE {}",
    "STATUS {} (MESSAGES UIDNEXT)",
    "LIST \"\" *",
    "LIST \"\" \"Other Users/%\"",
    "LIST \"Other Users/bob@example.org/\" (% *) RETURN (STATUS (MESSAGES))",
    "LSUB \"\" *",
    "SUBSCRIBE {}",
    "UNSUBSCRIBE {}",
    "FETCH 1:* (FLAGS BODY.PEEK[])",
    "FETCH 1 (ENVELOPE PREVIEW BODY[TEXT])",
    "UID FETCH 1:* (BODYSTRUCTURE BODY[HEADER])",
    "SEARCH TEXT word",
    "SORT (SUBJECT) UTF-8 ALL",
    "THREAD REFERENCES UTF-8 ALL",
    "STORE 1:* +FLAGS (\\Seen \\Flagged)",
    "STORE 1 FLAGS ($Recall)",
    "EXPUNGE",
    "COPY 1 Drafts",
    "MOVE 1 Drafts",
    "CREATE {}",
    "RENAME {} \"Other Users/bob@example.org/Beta/New\"",
    "GETACL {}",
    "MYRIGHTS {}",
    "SETACL {} alice@example.org lrswipkxtea",
    "NOOP",
];

struct Story {
    house: House,
    alice: Client,
    /// What Alice may do in each, as it was given last.
    rights: [&'static str; 4],
}

const RIGHTS: [&str; 8] = ["", "l", "r", "lr", "lrs", "lrswi", "lrite", "swipkxte"];

impl Story {
    fn begin(seed: u64) -> Self {
        let mut house = House::new();
        house.entropy = tern_base::SeededEntropy::new(seed);
        let mut bob = Client::login(&mut house);
        for (path, word) in BOXES {
            bob.ask(&mut house, &format!("c CREATE \"{path}\""));
            for number in 0..3 {
                let text = format!("{word} ").repeat(200);
                let content = format!("Subject: {word} {number}\r\n\r\n{text}\r\n");
                bob.append(&mut house, &format!("\"{path}\""), "", content.as_bytes());
            }
        }
        let alice = Client::login_as(&mut house, "alice");
        Self {
            house,
            alice,
            rights: [""; 4],
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        let mut octets = [0; 8];
        self.house.entropy.fill(&mut octets);
        (u64::from_be_bytes(octets) % bound as u64) as usize
    }

    /// Rights in one mailbox change.
    fn turn(&mut self) {
        let (which, to) = (self.below(BOXES.len()), self.below(RIGHTS.len()));
        let (path, _) = BOXES[which];
        self.house
            .share("bob", path, "alice@example.org", RIGHTS[to]);
        self.rights[which] = RIGHTS[to];
    }

    /// Nothing of what the last step wrote may be of a mailbox without the right to it.
    fn look(&mut self, asked: &str) {
        let output = std::mem::take(&mut self.alice.output);
        let text = String::from_utf8_lossy(&output);
        let rights = self.rights;
        for ((path, word), now) in BOXES.iter().zip(rights) {
            let reads = now.contains('l') && now.contains('r');
            assert!(reads || !text.contains(word), "{asked}: {now}: {text}");
            // A name above another that may be seen is a part of that one's.
            let below = format!("{path}/");
            let mut named = BOXES.iter().zip(rights);
            let sees = named.any(|((other, _), rights)| {
                (other == path || other.starts_with(&below)) && rights.contains('l')
            });
            assert!(sees || !text.contains(path), "{asked}: {now}: {text}");
        }
    }

    /// A command; whether it opened a mailbox.
    fn ask(&mut self) -> bool {
        let (asked, which) = (self.below(ASKED.len()), self.below(BOXES.len()));
        let asked = match self.below(4) {
            0 => "SELECT {}",
            _ => ASKED[asked],
        };
        let name = format!("\"Other Users/bob@example.org/{}\"", BOXES[which].0);
        let asked = asked.replace("{}", &name);
        let line = format!("t {asked}\r\n");
        self.alice.session.receive(line.as_bytes(), self.house.now);
        let mut opened = false;
        loop {
            let more = self.alice.step(&mut self.house);
            opened |= self.alice.output.ends_with(b"Select completed\r\n");
            self.look(&asked);
            if !more {
                return opened;
            }
            // In the middle of an answer, too: from the next step on it counts.
            if self.below(4) == 0 {
                self.turn();
            }
        }
    }
}

#[test]
fn whoever_has_no_right_never_sees_an_octet() {
    let mut opened = 0;
    for seed in 0..20 {
        let mut story = Story::begin(seed);
        for _ in 0..150 {
            if story.below(3) == 0 {
                story.turn();
            }
            opened += usize::from(story.ask());
            if story.alice.closed {
                story.alice = Client::login_as(&mut story.house, "alice");
            }
        }
        story.house.check();
    }
    assert!(opened > 50, "{opened} opened");
}

#[test]
fn a_long_answer_ends_in_the_middle_when_the_right_to_it_goes() {
    let mut house = House::new();
    let mut bob = Client::login(&mut house);
    let content = format!("Subject: long\r\n\r\n{}", "wordofalpha ".repeat(100_000));
    bob.append(&mut house, "INBOX", "", content.as_bytes());
    house.share("bob", "INBOX", "alice@example.org", "lr");
    let mut alice = Client::login_as(&mut house, "alice");
    alice.ask(&mut house, "s SELECT \"Other Users/bob@example.org/INBOX\"");
    alice
        .session
        .receive(b"f FETCH 1 BODY.PEEK[]\r\n", house.now);
    assert!(alice.step(&mut house) && !alice.output.is_empty());
    let told = alice.output.len();
    assert!(told < content.len());
    house.share("bob", "INBOX", "alice@example.org", "l");
    alice.drive(&mut house);
    // Neither the rest nor anything in its place.
    assert_eq!(alice.output.len(), told);
    assert!(alice.closed);
}

#[test]
fn rights_change_so_often_and_no_more() {
    let mut house = House::new();
    let mut bob = Client::login(&mut house);
    let most = tern_session::limits::MAX_RIGHTS_CHANGES;
    for n in 0..most {
        let letters = if n % 2 == 0 { "lr" } else { "lrs" };
        let line = format!("s SETACL INBOX alice@example.org {letters}");
        let answer = bob.ask(&mut house, &line);
        assert_eq!(answer, "s OK Setacl completed\r\n", "{n}");
    }
    let given = |house: &House| tern_audit::head(&house.engine).unwrap().sequence;
    let before = given(&house);
    let refused = "NO [LIMIT] Over the limit: changes of rights within an hour\r\n";
    let answer = bob.ask(&mut house, "t SETACL INBOX carol@example.org lr");
    assert_eq!(answer, format!("t {refused}"));
    let answer = bob.ask(&mut house, "u DELETEACL INBOX alice@example.org");
    assert_eq!(answer, format!("u {refused}"));
    assert_eq!(given(&house), before, "nothing goes on record");
    // Others have their own share, an administrator has no bound, and time brings more.
    let mut alice = Client::login_as(&mut house, "alice");
    let answer = alice.ask(&mut house, "v SETACL INBOX bob@example.org lr");
    assert_eq!(answer, "v OK Setacl completed\r\n");
    house.share("bob", "INBOX", "carol@example.org", "lr");
    house.now = house.now.plus_millis(3_600_000 / u64::from(most));
    let answer = bob.ask(&mut house, "w SETACL INBOX carol@example.org lrs");
    assert_eq!(answer, "w OK Setacl completed\r\n");
    assert_eq!(given(&house), before + 2);
}

#[test]
fn what_changes_no_right_is_no_entry_of_the_log() {
    let mut house = House::new();
    let mut bob = Client::login(&mut house);
    let mut ask = |line: &str| {
        let answer = bob.ask(&mut house, &format!("t {line}"));
        assert!(answer.starts_with("t OK"), "{line}: {answer}");
        tern_audit::head(&house.engine).unwrap().sequence
    };
    for (line, entries) in [
        ("DELETEACL INBOX alice@example.org", 0),
        ("SETACL INBOX alice@example.org \"\"", 0),
        ("SETACL INBOX alice@example.org lr", 1),
        ("SETACL INBOX alice@example.org rl", 1),
        ("SETACL INBOX alice@example.org +r", 1),
        ("SETACL INBOX alice@example.org -s", 1),
        ("SETACL INBOX alice@example.org +s", 2),
        ("DELETEACL INBOX alice@example.org", 3),
        ("DELETEACL INBOX alice@example.org", 3),
    ] {
        assert_eq!(ask(line), entries, "{line}");
    }
    let log = tern_audit::entries_from(&house.engine, 1, 10).unwrap();
    let told: Vec<_> = log
        .iter()
        .map(|entry| entry.draft.action.as_str())
        .collect();
    assert_eq!(told, ["mailbox.share", "mailbox.share", "mailbox.unshare"]);
}
