//! From a command to the verb that does it.
//!
//! Invariant: what a state of RFC 9051 3 does not allow is refused here, before anything is done.

use tern_session::{SessionEvent, Step};

use super::answer::{Answer, AnswerCode, Failure, Sync};
use super::run::Task;
use super::{Context, Phase, Session, State};
use crate::command::{Command, CommandBody, Enable, Tag};
use crate::event::Event;
use crate::respond::status::Condition;

impl Session {
    pub(super) fn command(&mut self, command: Command, cx: &mut Context<'_>) -> Step {
        let Command { tag, body } = command;
        match body {
            CommandBody::Capability => {
                let list = self.capabilities();
                self.out.capability(&list);
                self.done(tag, "Capability completed", cx)
            }
            CommandBody::Noop => self.done(tag, "Noop completed", cx),
            CommandBody::Logout => {
                self.out.untagged(Condition::Bye, None, "Logging out");
                self.ok(&tag, "Logout completed");
                self.close();
                Step::Close
            }
            CommandBody::StartTls => self.starttls(&tag),
            CommandBody::Login { username, password } => self.login(tag, &username, password),
            CommandBody::Authenticate { mechanism, initial } => {
                self.authenticate(tag, &mechanism, initial)
            }
            CommandBody::Id(fields) => {
                self.introduced(&fields);
                self.event(Event::ClientId(fields));
                self.out.id(&[("name", "Tern")]);
                self.done(tag, "Id completed", cx)
            }
            _ if matches!(self.state, State::NotAuthenticated) => {
                self.out
                    .tagged(&tag, Condition::Bad, None, "Authenticate first");
                self.count_bad()
            }
            CommandBody::Compress(mechanism) => self.compress(&tag, &mechanism),
            CommandBody::Idle => {
                self.out.continuation("idling");
                self.framer.expect_line();
                self.phase = Phase::Idle { tag };
                // What changed since the last command is told at once.
                self.changed = true;
                Step::Continue
            }
            body => {
                let begun = self.begin(body, &tag, cx);
                self.start(tag, begun, cx)
            }
        }
    }

    fn done(&mut self, tag: Tag, text: &'static str, cx: &mut Context<'_>) -> Step {
        self.start(tag, Ok(Answer::ok(text, Sync::Full).into()), cx)
    }

    /// Does a short command, or begins a long one.
    fn begin(
        &mut self,
        body: CommandBody,
        tag: &Tag,
        cx: &mut Context<'_>,
    ) -> Result<Task, Failure> {
        match body {
            CommandBody::Enable(names) => self.enable(&names),
            CommandBody::Namespace => {
                self.out.namespace(&[super::list::OTHERS], &[]);
                Ok(Answer::ok("Namespace completed", Sync::Full).into())
            }
            CommandBody::Select(select) => self.select(select, cx),
            CommandBody::Create {
                mailbox,
                special_use,
            } => self.create(&mailbox, &special_use, cx),
            CommandBody::Delete(mailbox) => self.delete(&mailbox, cx),
            CommandBody::Rename { from, to } => self.rename(&from, &to, cx),
            CommandBody::Subscribe(mailbox) => self.subscribe(&mailbox, true, cx),
            CommandBody::Unsubscribe(mailbox) => self.subscribe(&mailbox, false, cx),
            CommandBody::List(list) => self.list(list, cx),
            CommandBody::Lsub { reference, pattern } => self.lsub(&reference, &pattern, cx),
            CommandBody::Status { mailbox, items } => self.status(&mailbox, &items, cx),
            CommandBody::Append(append) => self.append(append, cx),
            CommandBody::Replace(replace) => self.replace(replace, cx),
            CommandBody::GetQuota(root) => self.get_quota(&root, cx),
            CommandBody::GetQuotaRoot(mailbox) => self.get_quota_root(&mailbox, cx),
            CommandBody::SetAcl {
                mailbox,
                who,
                change,
            } => self.set_acl(&mailbox, &who, change, cx),
            CommandBody::DeleteAcl { mailbox, who } => self.delete_acl(&mailbox, &who, cx),
            CommandBody::GetAcl(mailbox) => self.get_acl(&mailbox, cx),
            CommandBody::ListRights { mailbox, who } => self.list_rights(&mailbox, &who, cx),
            CommandBody::MyRights(mailbox) => self.my_rights(&mailbox, cx),
            CommandBody::Check => {
                self.here()?;
                Ok(Answer::ok("Check completed", Sync::Full).into())
            }
            CommandBody::Close => self.close_mailbox(),
            CommandBody::Unselect => self.unselect(),
            CommandBody::Expunge(set) => self.expunge(set.as_ref()),
            CommandBody::Search(search) => self.search(search, tag, cx),
            CommandBody::Fetch(fetch) => self.fetch(fetch, cx),
            CommandBody::Store(store) => self.store(store),
            CommandBody::Copy(copy) => self.copy(copy, cx),
            CommandBody::Sort(sort) => self.sort(sort, tag, cx),
            CommandBody::Thread(thread) => self.thread(&thread, cx),
            _ => Err(Answer::bad("Unknown command").into()),
        }
    }

    /// RFC 9051 6.2.1, RFC 3501 6.2.1.
    fn starttls(&mut self, tag: &Tag) -> Step {
        if self.tls.is_some() || !self.settings.starttls {
            self.out.tagged(
                tag,
                Condition::Bad,
                None,
                "TLS is on already, or not offered",
            );
            return self.count_bad();
        }
        if !matches!(self.state, State::NotAuthenticated) {
            self.out
                .tagged(tag, Condition::Bad, None, "Already authenticated");
            return self.count_bad();
        }
        if self.framer.has_input() {
            self.refuse_injection();
            return Step::Close;
        }
        self.ok(tag, "Begin TLS negotiation now");
        self.phase = Phase::StartingTls;
        Step::StartTls
    }

    /// CVE-2011-0411: nothing that was sent in the clear behind STARTTLS may be executed.
    pub(super) fn refuse_injection(&mut self) {
        self.event(SessionEvent::InjectionRefused);
        if !matches!(self.phase, Phase::StartingTls) {
            self.out
                .untagged(Condition::Bye, None, "Plaintext behind STARTTLS");
        }
        self.close();
    }

    /// RFC 9051 6.3.1, RFC 7162 3.2.3, RFC 6855 3.
    fn enable(&mut self, names: &[Enable]) -> Result<Task, Failure> {
        let mut told = Vec::new();
        for name in names {
            match name {
                Enable::Condstore => {
                    self.enable_condstore();
                    told.push("CONDSTORE");
                }
                Enable::Qresync => {
                    // RFC 7162 3.2.3: QRESYNC turns CONDSTORE on.
                    self.enable_condstore();
                    self.enabled.qresync = true;
                    told.push("QRESYNC");
                }
                Enable::Imap4rev2 => {
                    // RFC 9051 6.3.1: mailbox names and quoted strings are UTF-8 from here on.
                    (self.enabled.rev2, self.enabled.utf8) = (true, true);
                    told.push("IMAP4rev2");
                }
                Enable::Utf8Accept => {
                    self.enabled.utf8 = true;
                    told.push("UTF8=ACCEPT");
                }
            }
        }
        self.out.set_utf8(self.enabled.utf8);
        self.out.enabled(&told);
        Ok(Answer::ok("Enable completed", Sync::Full).into())
    }

    /// RFC 7162 3.1: by whatever command the client shows that it knows mod-sequences.
    pub(super) fn enable_condstore(&mut self) {
        if std::mem::replace(&mut self.enabled.condstore, true) {
            return;
        }
        if let Some(selected) = self.selected() {
            let code = AnswerCode::HighestModseq(selected.highest_modseq().0);
            let text = "Mod-sequences from here on";
            self.out
                .untagged(Condition::Ok, Some(code.borrowed()), text);
        }
    }

    /// A line that answers a continuation request.
    pub(super) fn line(&mut self, line: &[u8], cx: &mut Context<'_>) -> Step {
        match std::mem::replace(&mut self.phase, Phase::Command) {
            Phase::Sasl { tag, exchange } => self.sasl_line(tag, exchange, line),
            Phase::Idle { tag } if line.trim_ascii_end().eq_ignore_ascii_case(b"DONE") => {
                self.done(tag, "Idle completed", cx)
            }
            Phase::Idle { tag } => {
                self.out.tagged(&tag, Condition::Bad, None, "Expected DONE");
                self.count_bad()
            }
            other => {
                self.phase = other;
                Step::Continue
            }
        }
    }
}
