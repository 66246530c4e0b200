//! A client that moves, copies, flags, expunges, appends what it still has from before, and
//! creates and deletes folders.

use tern_base::{AccountId, MailboxId, OriginId, Uid};
use tern_mailbox::{
    Access, AppendRequest, FlagChange, FlagRequest, Flags, Folder, INBOX, MailboxError, SystemFlag,
    Transfer, Viewer,
};
use tern_recall::{RECALL_KEYWORD, RECALL_MAILBOX};

use super::Actor;
use crate::oracle::Permit;
use crate::sim::Sim;

/// The client.
pub(crate) struct Organizer {
    account: AccountId,
}

impl Organizer {
    pub(crate) const fn new(account: AccountId) -> Self {
        Self { account }
    }

    fn folders(&self, sim: &Sim) -> Vec<Folder> {
        sim.server()
            .mailboxes
            .folders(self.account)
            .unwrap_or_default()
    }

    /// Some messages of a folder.
    fn some(&self, sim: &Sim, folder: MailboxId) -> Vec<Uid> {
        let Ok(view) = sim.server().mailboxes.view(self.account, folder) else {
            return Vec::new();
        };
        view.iter()
            .filter(|entry| !entry.flags.has_keyword("$RecallReport"))
            .map(|entry| entry.uid)
            .filter(|_| sim.chance(400))
            .collect()
    }

    fn transfer(&self, sim: &Sim) -> Result<(), MailboxError> {
        let folders = self.folders(sim);
        let (Some(mut from), Some(mut to)) = (sim.pick(&folders), sim.pick(&folders)) else {
            return Ok(());
        };
        // Within one folder a copy becomes a message of its own.
        if sim.chance(250)
            && let Some(inbox) = folders.iter().find(|folder| folder.id == INBOX)
        {
            (from, to) = (inbox.clone(), inbox.clone());
        }
        // To the mailbox that asks for the recall of what comes there.
        if sim.chance(150)
            && let Some(recall) = folders.iter().find(|folder| folder.path == RECALL_MAILBOX)
        {
            to = recall.clone();
        }
        let (uids, moving) = (self.some(sim, from.id), sim.chance(600));
        let account = self.account;
        sim.oracle.borrow_mut().permit(match moving {
            true => Permit::Move(account, from.id, to.id),
            false => Permit::Copy(account, from.id, to.id),
        });
        sim.tell(|| {
            let verb = if moving { "moves" } else { "copies" };
            format!(
                "account {account} {verb} {uids:?} from {} to {}",
                from.path, to.path
            )
        });
        let transfer = Transfer {
            from: Access::owner(account, from.id),
            uids: &uids,
            to: to.id,
            by: None,
        };
        let server = sim.server();
        match moving {
            true => server.mailboxes.move_messages(&transfer, sim.now()),
            false => server.mailboxes.copy(&transfer, sim.now()),
        }
        .map(drop)
    }

    fn flag(&self, sim: &Sim) -> Result<(), MailboxError> {
        let mut folders = self.folders(sim);
        let mailboxes = &sim.server().mailboxes;
        let has_any = |folder: &Folder| {
            mailboxes
                .view(self.account, folder.id)
                .is_ok_and(|view| !view.is_empty())
        };
        folders.retain(has_any);
        let Some(folder) = sim.pick(&folders) else {
            return Ok(());
        };
        let uids = self.some(sim, folder.id);
        let flags = [SystemFlag::Seen, SystemFlag::Deleted, SystemFlag::Flagged];
        let mut flag = Flags::of(&[sim.pick(&flags).unwrap_or(SystemFlag::Seen)]);
        // Asks for the recall of what this account has sent.
        if sim.chance(300) {
            flag.add_keyword(RECALL_KEYWORD);
        }
        let change = match sim.below(3) {
            0 => FlagChange::Remove(flag),
            1 => FlagChange::Set(flag),
            _ => FlagChange::Add(flag),
        };
        sim.tell(|| format!("account {} flags {uids:?} in {}", self.account, folder.path));
        sim.oracle
            .borrow_mut()
            .permit(Permit::Flag(self.account, folder.id));
        let request = FlagRequest {
            access: Access::owner(self.account, folder.id),
            uids: &uids,
            change: &change,
            unchanged_since: None,
            by: None,
        };
        sim.server().mailboxes.change_flags(&request).map(drop)
    }

    fn expunge(&self, sim: &Sim) -> Result<(), MailboxError> {
        let Some(folder) = sim.pick(&self.folders(sim)) else {
            return Ok(());
        };
        let uids = self.some(sim, folder.id);
        let only_deleted = sim.chance(700);
        sim.tell(|| {
            format!(
                "account {} expunges {uids:?} in {}",
                self.account, folder.path
            )
        });
        sim.oracle
            .borrow_mut()
            .permit(Permit::Expunge(self.account, folder.id));
        let mailboxes = &sim.server().mailboxes;
        let gone = mailboxes.expunge(
            &Access::owner(self.account, folder.id),
            &uids,
            only_deleted,
            sim.now(),
        );
        gone.map(drop)
    }

    /// Puts a letter into a mailbox that this client has kept, as an offline client does. Its
    /// sender's own into the recall mailbox is the trigger.
    fn append(&self, sim: &Sim) -> Result<(), MailboxError> {
        let known = sim.oracle.borrow().letters_of(self.account);
        let (Some(letter), Some(folder)) = (sim.pick(&known), sim.pick(&self.folders(sim))) else {
            return Ok(());
        };
        // As it has it from here, with its token; of what it sent itself, or had from elsewhere, without one.
        let content = {
            let oracle = sim.oracle.borrow();
            let of = oracle.brought_by(self.account, letter);
            oracle.letter(letter).map(|letter| letter.as_sent_by(of))
        };
        let Some(content) = content else {
            return Ok(());
        };
        sim.tell(|| {
            format!(
                "account {} appends letter {letter} to {}",
                self.account, folder.path
            )
        });
        sim.oracle
            .borrow_mut()
            .permit(Permit::Append(self.account, folder.id, letter));
        let request = AppendRequest {
            account: self.account,
            mailbox: folder.id,
            content,
            flags: Flags::of(&[SystemFlag::Seen]),
            received: None,
            origin: OriginId::new(sim.now(), &mut sim.entropy()),
            by: Viewer::default().into(),
        };
        let server = sim.server();
        let placed = sim.arrival(|| server.mailboxes.append(request, sim.now()))?;
        server.report_late(placed.sealed.as_slice());
        Ok(())
    }

    fn folder(&self, sim: &Sim) -> Result<(), MailboxError> {
        let path = match sim.chance(100) {
            true => RECALL_MAILBOX,
            false => sim.pick(&["Work", "Work/Old", "Lists"]).unwrap_or("Work"),
        };
        let server = sim.server();
        match server.mailboxes.folder(self.account, path) {
            Ok(folder) => {
                sim.tell(|| format!("account {} deletes {path}", self.account));
                sim.oracle
                    .borrow_mut()
                    .permit(Permit::Expunge(self.account, folder.id));
                server
                    .mailboxes
                    .delete_folder(&Access::owner(self.account, folder.id), sim.now())
            }
            Err(_) => {
                sim.tell(|| format!("account {} creates {path}", self.account));
                server
                    .mailboxes
                    .create_folder(self.account, path, None, sim.now())
                    .map(drop)
            }
        }
    }
}

impl Actor for Organizer {
    fn name(&self) -> &'static str {
        "a client"
    }

    fn account(&self) -> Option<AccountId> {
        Some(self.account)
    }

    fn step(&mut self, sim: &Sim) {
        let done = match sim.below(20) {
            0..=5 => self.transfer(sim),
            6..=8 => self.flag(sim),
            9..=10 => self.expunge(sim),
            11..=15 => self.append(sim),
            16..=17 => self.folder(sim),
            _ => Ok(()),
        };
        if let Err(error) = done {
            sim.tell(|| format!("account {}: {error}", self.account));
            sim.server_fault("mailbox", error.fault(), &error);
        }
    }
}
