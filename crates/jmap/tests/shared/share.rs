//! Bob's mailboxes, and what Carol may do there.

use serde_json::{Value, json};
use tern_base::MailboxId;
use tern_mailbox::{Grantee, NewFolder, Rights, RightsChange};
use tern_session::ids;
use tern_store::Verdict;

use crate::house::{BOB, CAROL, House};

impl House {
    /// A mailbox of Bob's.
    pub(crate) fn folder(&self, parent: Option<MailboxId>, name: &str) -> MailboxId {
        let folder = NewFolder {
            parent,
            name: name.to_owned(),
            role: None,
            sort_order: 0,
            subscribed: true,
        };
        self.mailboxes.add_folder(BOB, &folder, self.now).unwrap()
    }

    /// Gives Carol these rights in a mailbox of Bob's, and no others.
    pub(crate) fn grant(&self, mailbox: MailboxId, letters: &str) {
        let rights = RightsChange::Set(Rights::from_letters(letters).unwrap());
        let to = Grantee::Account(CAROL);
        let done = self.mailboxes.transact(&[BOB, CAROL], |txn| {
            let done = self
                .mailboxes
                .change_rights_in(txn, (BOB, mailbox), to, rights)?;
            Ok::<_, tern_mailbox::MailboxError>(Verdict::Commit(done))
        });
        done.unwrap();
    }

    /// A message of Bob's in these mailboxes, in one conversation with all of its subject: its id.
    pub(crate) fn put(&mut self, mailboxes: &[MailboxId], subject: &str, text: &str) -> String {
        let (who, id) = (self.who, |it: &MailboxId| ids::mailbox_id(BOB, *it));
        self.who = BOB;
        let mut kept = serde_json::Map::new();
        kept.extend(mailboxes.iter().map(|it| (id(it), true.into())));
        let made = self.call(
            "Email/set",
            json!({"create": {"k": {
                "mailboxIds": kept, "subject": subject,
                "references": [format!("root-of-{subject}@example.org")],
                "textBody": [{"partId": "1"}], "bodyValues": {"1": {"value": text}},
            }}}),
        );
        self.who = who;
        made["created"]["k"]["id"].as_str().unwrap().to_owned()
    }

    /// What Bob changes of a message.
    pub(crate) fn bob_updates(&mut self, id: &str, patch: Value) {
        let who = std::mem::replace(&mut self.who, BOB);
        let set = self.call("Email/set", json!({"update": {id: patch}}));
        assert_eq!(set["notUpdated"], Value::Null, "{set}");
        self.who = who;
    }

    /// A call about Bob's account.
    pub(crate) fn of_bob(&mut self, name: &str, mut args: Value) -> Value {
        args["accountId"] = "A1".into();
        self.call(name, args)
    }

    /// The error of one.
    pub(crate) fn error_of_bob(&mut self, name: &str, mut args: Value) -> String {
        args["accountId"] = "A1".into();
        self.error(name, args)
    }

    /// The session of whoever calls.
    pub(crate) fn session(&self) -> Value {
        let below = tern_jmap::session::Endpoints::below("https://mx.example.org");
        tern_jmap::session::resource(&self.verbs(), &self.caller(), &below, "key").unwrap()
    }
}
