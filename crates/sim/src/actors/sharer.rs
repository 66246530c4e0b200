//! People who share mailboxes of theirs, take that back, and rename or delete what is shared, whoever has it
//! open.

use tern_base::{AccountId, MailboxId};
use tern_mailbox::{
    Access, Acting, Client, Connection, Grantee, INBOX, MailboxError, Rights, RightsChange,
};
use tern_recall::RECALL_MAILBOX;
use tern_session::{Authenticated, Mechanism, RightsRequest};

use super::Actor;
use crate::oracle::Permit;
use crate::server::{GROUP, address};
use crate::sim::Sim;

/// The names of the mailbox that comes and goes.
const NAMES: [&str; 2] = ["Shared", "Common"];
/// Rights that are given, by their letters (RFC 4314 2.1).
const RIGHTS: [&str; 4] = ["lr", "lrs", "lrswit", "lrswite"];

/// All of them.
pub(crate) struct Sharer;

impl Sharer {
    /// Somebody's mailbox that is to be shared or no more, and what they call it.
    fn one(owner: AccountId, sim: &Sim) -> Result<(MailboxId, String), MailboxError> {
        if sim.chance(500) {
            return Ok((INBOX, "INBOX".to_owned()));
        }
        let server = sim.server();
        // Whoever has rights to what asks for recalls asks for none by it.
        if sim.chance(200)
            && let Ok(folder) = server.mailboxes.folder(owner, RECALL_MAILBOX)
        {
            return Ok((folder.id, folder.path));
        }
        for name in NAMES {
            match server.mailboxes.folder(owner, name) {
                Ok(folder) => return Ok((folder.id, folder.path)),
                Err(MailboxError::NoMailbox) => {}
                Err(error) => return Err(error),
            }
        }
        sim.tell(|| format!("account {owner} creates {}", NAMES[0]));
        let made = server
            .mailboxes
            .create_folder(owner, NAMES[0], None, sim.now())?;
        Ok((made.id, made.path))
    }

    fn grantee(owner: AccountId, sim: &Sim) -> Grantee {
        let there = sim.oracle.borrow().people.there();
        let others: Vec<AccountId> = there.into_iter().filter(|one| *one != owner).collect();
        match sim.below(8) {
            0 => Grantee::Anyone,
            1 => {
                let group = address(GROUP.0).to_string();
                let found = sim.server().sharing.find(&group);
                found.ok().flatten().unwrap_or(Grantee::Anyone)
            }
            _ => sim.pick(&others).map_or(Grantee::Anyone, Grantee::Account),
        }
    }

    fn change(owner: AccountId, sim: &Sim) -> Result<(), MailboxError> {
        let (mailbox, path) = Self::one(owner, sim)?;
        let server = sim.server();
        let given = server.mailboxes.grants(owner, mailbox)?;
        let (grantee, change) = match sim.pick(&given).filter(|_| sim.chance(500)) {
            Some((grantee, _)) => (grantee, RightsChange::Set(Rights::NONE)),
            None => {
                let letters = sim.pick(&RIGHTS).unwrap_or(RIGHTS[0]);
                let rights = Rights::from_letters(letters).unwrap_or(Rights::NONE);
                (Self::grantee(owner, sim), RightsChange::Set(rights))
            }
        };
        sim.tell(|| format!("account {owner} gives {grantee:?} {change:?} in {path}"));
        let who = Authenticated {
            account: owner,
            login: sim.name_of(owner).to_owned(),
            mechanism: Mechanism::Plain,
            token: None,
        };
        let by = Connection {
            protocol: "imap".to_owned(),
            mechanism: "PLAIN".to_owned(),
            app_password: false,
            address: "192.0.2.7".to_owned(),
            tls: true,
            device: Client::default().id(),
        };
        let entry = tern_session::sharing::entry(&who, &by, sim.now(), &mut sim.entropy());
        let request = RightsRequest {
            owner,
            mailbox,
            grantee,
            change,
            acting: &Acting::Owner,
        };
        let changed = server.sharing.change(&server.mailboxes, &request, entry);
        changed.map(drop).map_err(MailboxError::from)
    }

    fn one_change(sim: &Sim) {
        let there = sim.oracle.borrow().people.there();
        let Some(owner) = sim.pick(&there) else {
            return;
        };
        sim.oracle.borrow_mut().rights_turn();
        let done = match sim.below(4) {
            0 => Self::rename(owner, sim),
            _ => Self::change(owner, sim),
        };
        sim.oracle.borrow_mut().rights_turn();
        if let Err(error) = done {
            sim.tell(|| format!("account {owner} shares: {error}"));
            sim.server_fault("sharing", error.fault(), &error);
        }
    }

    /// What is shared gets another name, or goes.
    fn rename(owner: AccountId, sim: &Sim) -> Result<(), MailboxError> {
        let server = sim.server();
        for (name, other) in [(NAMES[0], NAMES[1]), (NAMES[1], NAMES[0])] {
            let Ok(folder) = server.mailboxes.folder(owner, name) else {
                continue;
            };
            if sim.chance(250) {
                sim.tell(|| format!("account {owner} deletes {name}"));
                let permit = Permit::Expunge(owner, folder.id);
                sim.oracle.borrow_mut().permit(permit);
                return server
                    .mailboxes
                    .delete_folder(&Access::owner(owner, folder.id), sim.now());
            }
            sim.tell(|| format!("account {owner} renames {name}"));
            let (boxes, now) = (&server.mailboxes, sim.now());
            return boxes.rename_folder(&Access::owner(owner, folder.id), other, now);
        }
        Ok(())
    }
}

impl Actor for Sharer {
    fn name(&self) -> &'static str {
        "a change of rights"
    }

    fn step(&mut self, sim: &Sim) {
        Self::one_change(sim);
    }
}
