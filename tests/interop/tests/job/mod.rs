//! The main job, step by step, as its people live it: alice sends, the others receive in their own
//! ways, alice takes it back, everybody looks again.
#![allow(dead_code, reason = "each test file uses the steps it needs")]

use std::time::Duration;

use serde_json::{Value, json};
use tern_interop::house::{self, GROUP, OUTSIDE, address};
use tern_interop::mbsync::Mirror;
use tern_interop::{Agent, DEADLINE, House, Screen, until};

/// The folders that carol keeps.
pub(crate) const CAROLS: [&str; 2] = ["Projects/Tern", "Copies"];

/// Everybody who takes part, with their sessions open.
pub(crate) struct Job {
    pub(crate) house: House,
    pub(crate) alice: Agent,
    pub(crate) bob: Agent,
    pub(crate) bob_idle: Agent,
    pub(crate) mirror: Mirror,
    pub(crate) carol: Agent,
    /// In the message that is taken back.
    pub(crate) word: String,
    /// In the message that stays.
    pub(crate) other: String,
    /// The message that is taken back, as bob was given it.
    pub(crate) as_received: String,
}

/// A word that no other message of the test has.
pub(crate) fn word(name: &str) -> String {
    format!("zweig{name}quartz")
}

/// Submits two messages, one to be taken back and one to stay, and appends both to Sent.
pub(crate) fn send(house: &House, word: &str, other: &str) -> Agent {
    let to = ["bob@example.org", "carol@example.org", GROUP, OUTSIDE];
    let first = house::letter("alice", &to.join(", "), word);
    let said = house.submit_starttls("alice", &to, &first).ok();
    assert!(
        said.contains("AUTH LOGIN") && said.contains("STARTTLS"),
        "{said}"
    );
    let second = house::letter("alice", &to.join(", "), other);
    let said = house.submit_tls("alice", &to, &second).ok();
    assert!(said.contains("AUTH PLAIN"), "{said}");
    let mut alice = house.imap("alice");
    ensure_folder(&mut alice, "Sent");
    ensure_folder(&mut alice, "Recall");
    for content in [&first, &second] {
        alice.call("append", json!(["Sent", content, ["\\Seen"], null]));
    }
    alice
}

/// Makes a folder where there is none.
pub(crate) fn ensure_folder(agent: &mut Agent, folder: &str) {
    if agent.call("folder_exists", json!([folder])) != json!(true) {
        agent.call("create_folder", json!([folder]));
    }
}

impl Job {
    /// Two messages are sent and received: bob has read, mirrors, and idles; carol has filed
    /// hers away unread; the group's members have not looked.
    pub(crate) fn begin(name: &str) -> Self {
        Self::begin_in(House::new(), name)
    }

    pub(crate) fn begin_in(house: House, name: &str) -> Self {
        let (word, other) = (word(name), format!("{}stays", word(name)));
        let alice = send(&house, &word, &other);
        let mut bob = house.imap("bob");
        let as_received = read_by(&mut bob, &word);
        read_by(&mut bob, &other);
        let mut bob_idle = house.imap("bob");
        bob_idle.call("select_folder", json!(["INBOX"]));
        bob_idle.call("idle", json!([]));
        let mirror = Mirror::new(&house, "bob", "mirror");
        mirror.sync().ok();
        assert_eq!(mirror.holding("INBOX", &exactly(&word)).len(), 1);
        assert_eq!(mirror.files("INBOX").len(), 2);
        let mut carol = house.imap("carol");
        file_away(&mut carol, &word);
        Self {
            house,
            alice,
            bob,
            bob_idle,
            mirror,
            carol,
            word,
            other,
            as_received,
        }
    }

    /// Alice moves her copy into `Recall` by imapclient.
    pub(crate) fn recall_by_imapclient(&mut self) {
        let uid = find(&mut self.alice, "Sent", &self.word);
        self.alice.call("move", json!([[uid], "Recall"]));
    }

    /// Alice saves her copy into `Recall` by NeoMutt; her screen stays open.
    pub(crate) fn recall_by_neomutt(&self) -> Screen {
        let screen = Screen::neomutt(&self.house, "alice", "Sent");
        screen.wait_for(&self.other);
        screen.keys(&["="]);
        screen.text("/");
        screen.wait_for("Search for");
        screen.text(&format!("~s '{} *$'", self.word));
        screen.keys(&["Enter"]);
        screen.text("s");
        screen.wait_for("Save");
        screen.keys(&["C-u"]);
        screen.text("=Recall");
        screen.keys(&["Enter"]);
        screen
    }

    /// How long after `since` bob's idle session was told that the message is gone.
    pub(crate) fn bob_is_told(&mut self) -> Duration {
        let (seen, time) = self.bob_idle.idle_until("EXPUNGE", DEADLINE);
        let expunges = seen.iter().filter(|answer| answer[1] == "EXPUNGE").count();
        assert_eq!(expunges, 1, "{seen:?}");
        time
    }

    /// Every place where the message was has only the message that stays.
    pub(crate) fn everybody_lost_it(&mut self) {
        self.bob_idle.call("idle_done", json!([]));
        let (word, other) = (self.word.clone(), self.other.clone());
        let gone = |agent: &mut Agent, folder: &str, who: &str| {
            assert!(
                !agent_has(agent, folder, &word),
                "{who} still has it in {folder}"
            );
            assert!(
                agent_has(agent, folder, &other),
                "{who} lost the other one in {folder}"
            );
        };
        gone(&mut self.bob, "INBOX", "bob");
        gone(&mut self.bob_idle, "INBOX", "bob");
        for folder in CAROLS {
            assert!(
                !agent_has(&mut self.carol, folder, &word),
                "carol still has it"
            );
        }
        gone(&mut self.carol, "INBOX", "carol");
        for member in ["dave", "erin"] {
            gone(&mut self.house.imap(member), "INBOX", member);
        }
        self.mirror.sync().ok();
        let left = self.mirror.holding("INBOX", &exactly(&word));
        assert!(left.is_empty(), "the mirror still has {left:?}");
        // He had read it, and may have been told already that it is gone.
        let told = self.mirror.holding("INBOX", "took back a message").len();
        assert_eq!(self.mirror.files("INBOX").len(), 1 + told);
    }

    /// The queue has only the message that stays to send outside.
    pub(crate) fn queue_is_cancelled(&self) {
        let queue = self.house.tern.queue();
        let waiting: Vec<&Value> = queue
            .iter()
            .filter(|item| !item.to_string().contains("cancelled"))
            .collect();
        let outside = |item: &&&Value| item.to_string().contains(OUTSIDE);
        assert_eq!(waiting.iter().filter(outside).count(), 1, "{queue:#?}");
    }

    /// The recall's id, once its report is in alice's `Recall`.
    pub(crate) fn report(&mut self) -> (String, String) {
        report(&mut self.alice, "Taken back")
    }

    /// Checks what the report, the command line and the audit log say of every recipient.
    pub(crate) fn outcomes_agree(&self, id: &str, report: &str) {
        let expected = [
            ("bob@example.org", "withdrawn-exposed"),
            ("carol@example.org", "withdrawn-unexposed"),
            ("dave@example.org", "withdrawn-unexposed"),
            ("erin@example.org", "withdrawn-unexposed"),
            (OUTSIDE, "prevented"),
        ];
        let status = self.house.tern.recall_status(id);
        assert_eq!(status["state"], "done", "{status:#}");
        for (recipient, outcome) in expected {
            assert_eq!(outcome_of(&status, recipient), [outcome], "{status:#}");
        }
        // The sender is told of what she addressed: the group, not who is in it.
        let addressed = [
            ("bob@example.org", "withdrawn-exposed"),
            ("carol@example.org", "withdrawn-unexposed"),
            (
                GROUP,
                "2 of 2: Taken back; it had not been opened. (withdrawn-unexposed)",
            ),
            (OUTSIDE, "prevented"),
        ];
        for hidden in ["dave@", "erin@"] {
            assert!(
                !report.contains(hidden),
                "{hidden} is in the report:\n{report}"
            );
        }
        for (recipient, outcome) in addressed {
            assert!(
                report.contains(recipient),
                "{recipient} is not in the report:\n{report}"
            );
            let line = report
                .lines()
                .skip_while(|line| !line.contains(recipient))
                .nth(1);
            let line = line.unwrap_or_default();
            assert!(line.contains(outcome), "{recipient}: {line:?}\n{report}");
        }
        let audit: String = self
            .house
            .tern
            .audit()
            .iter()
            .map(|row| format!("{row}\n"))
            .collect();
        for needle in [id, "alice@example.org", "allow"] {
            assert!(
                audit.contains(needle),
                "{needle} is not in the audit log:\n{audit}"
            );
        }
        for (_, outcome) in expected {
            assert!(
                audit.contains(outcome),
                "{outcome} is not in the audit log:\n{audit}"
            );
        }
        self.house.tern.verify_audit();
    }
}

/// The outcomes of a recipient's copies.
pub(crate) fn outcome_of(status: &Value, recipient: &str) -> Vec<String> {
    let copies = status["copies"].as_array().cloned().unwrap_or_default();
    let mut outcomes: Vec<String> = copies
        .iter()
        .filter(|copy| copy["recipient"] == recipient)
        .filter_map(|copy| copy["outcome"].as_str().map(str::to_owned))
        .collect();
    outcomes.dedup();
    outcomes
}

/// The text that only the message of this word has, and not one whose word begins alike.
pub(crate) fn exactly(word: &str) -> String {
    format!("The word is {word}.")
}

/// Whether a folder has the message of a word, by its Message-ID.
pub(crate) fn agent_has(agent: &mut Agent, folder: &str, word: &str) -> bool {
    agent.holds(folder, &exactly(word))
}

/// The UID of the message of a word.
#[track_caller]
pub(crate) fn find(agent: &mut Agent, folder: &str, word: &str) -> u64 {
    agent.call("select_folder", json!([folder]));
    let criteria = json!([["HEADER", "Message-ID", format!("<{word}@example.org>")]]);
    let found = agent.call("search", criteria);
    match found.as_array().map(Vec::as_slice) {
        Some([uid]) => uid.as_u64().expect("a number"),
        _ => panic!("{word} in {folder}: {found}"),
    }
}

/// Reads a message of the inbox as a mail client does: opened, so marked as seen.
pub(crate) fn read_by(agent: &mut Agent, word: &str) -> String {
    let uid = find(agent, "INBOX", word);
    let fetched = agent.call("fetch", json!([[uid], ["BODY[]", "FLAGS"]]));
    let body = fetched[uid.to_string()]["BODY[]"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(body.contains(&exactly(word)), "{body}");
    body
}

/// Copies a message to one folder and moves it to another, unread.
fn file_away(agent: &mut Agent, word: &str) {
    let [subfolder, copies] = CAROLS;
    agent.call("create_folder", json!([subfolder]));
    agent.call("create_folder", json!([copies]));
    let uid = find(agent, "INBOX", word);
    agent.call("copy", json!([[uid], copies]));
    agent.call("move", json!([[uid], subfolder]));
    for folder in CAROLS {
        let uids = agent.uids(folder);
        assert_eq!(uids.len(), 1, "{folder}");
    }
}

/// The id and text of the newest report in somebody's `Recall` whose subject begins like this.
#[track_caller]
pub(crate) fn report(agent: &mut Agent, headline: &str) -> (String, String) {
    let subject = format!("Subject: {headline}");
    let (text, _) = until(&format!("a report {headline:?}"), DEADLINE, || {
        let messages = agent.messages("Recall");
        messages
            .into_iter()
            .rev()
            .map(|(_, text)| text)
            .find(|text| text.contains(&subject))
    });
    let id = text
        .lines()
        .find_map(|line| line.strip_prefix("Reference:"));
    let id = id.unwrap_or_else(|| panic!("no reference in the report:\n{text}"));
    (id.trim().to_owned(), text)
}

/// What a person sees, for the log of the test.
pub(crate) fn show(what: &str, text: &str) {
    println!("--- {what}\n{}\n", text.trim_end());
}

/// The address and the password that everybody is given.
pub(crate) fn credentials(name: &str) -> (String, String) {
    (address(name), house::password(name))
}
