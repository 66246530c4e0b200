//! Any octets in the place of a stored row: an error, never a panic.
//!
//! The first octet chooses: a decoder that is public gets the rest, or one row of a filled store
//! is damaged, and everything that reads or changes the mailboxes of an account goes on. There the next two
//! octets choose the row, one more whether it is replaced, cut, or overwritten from an offset.

use std::collections::BTreeMap;

use tern_base::{AccountId, MessageId, Timestamp, Uid};
use tern_mailbox::rows::AccountHead;
use tern_mailbox::{
    Access, Exposure, ExposureLevel, FlagChange, FlagRequest, Flags, INBOX, MailboxError,
    Mailboxes, MessageRow, Opened, Served, Share, SystemFlag, Transfer, Viewer,
};
use tern_store::{Batch, Engine, MemEngine, Range, Read};

use crate::fixture::{self, ALICE, BOB, NOW, TAG};

const LATER: Timestamp = Timestamp(NOW.0 + 10_000_000);

pub(crate) fn run(data: &[u8]) {
    let Some((choice, rest)) = data.split_first() else {
        return;
    };
    match choice {
        0 => {
            if let Some(read) = tern_mime::decode(rest) {
                assert_eq!(tern_mime::decode(&tern_mime::encode(&read)), Some(read));
            }
        }
        1 => {
            if let Ok(read) = Exposure::decode(rest) {
                assert_eq!(Exposure::decode(&read.encode()), Ok(read));
            }
        }
        2 => {
            if let Ok(read) = AccountHead::decode(rest) {
                assert_eq!(AccountHead::decode(&read.encode()), Ok(read));
            }
        }
        _ => damaged(*choice, rest),
    }
}

fn damaged(choice: u8, data: &[u8]) {
    let Some(([high, low, how], octets)) = data.split_first_chunk::<3>() else {
        return;
    };
    let engine = fixture::engine();
    let everything = Range {
        start: Vec::new(),
        end: vec![u8::MAX],
        reverse: false,
    };
    let rows = engine.scan(&everything, usize::MAX).unwrap().rows;
    let index = usize::from(u16::from_be_bytes([*high, *low])) % rows.len();
    let (key, value) = rows.into_iter().nth(index).unwrap();
    let mut batch = Batch::new();
    match how {
        0 => batch.delete(key),
        1 => batch.put(key, octets.to_vec()),
        2 => {
            let length = octets.len().min(value.len());
            batch.put(key, value.get(..length).unwrap_or_default().to_vec());
        }
        _ => {
            let mut value = value;
            let at = usize::from(how - 3);
            for (old, new) in value.iter_mut().skip(at).zip(octets) {
                *old = *new;
            }
            batch.put(key, value);
        }
    }
    if engine.commit(batch).is_ok() {
        // Every verb may fail; none may panic.
        let account = if choice & 1 == 0 { ALICE } else { BOB };
        let _: Result<(), MailboxError> = match choice & 2 {
            0 => read(&engine, account),
            _ => change(&engine, account),
        };
    }
}

fn read(engine: &MemEngine, account: AccountId) -> Result<(), MailboxError> {
    let Opened {
        mailboxes,
        sealing,
        upkeep,
    } = fixture::open(engine)?;
    let _ = upkeep.check(&BTreeMap::new());
    let _ = mailboxes.account_changes(account, tern_base::Modseq(0), 100);
    if let Ok(vaulted) = sealing.vaulted(TAG, None, 100) {
        for copy in vaulted {
            let _ = sealing.exposures(copy.row.message.digest);
        }
    }
    for folder in mailboxes.folders(account)? {
        let _ = mailboxes.counters(account, folder.id);
        let _ = mailboxes.changes(account, folder.id, tern_base::Modseq(0));
        let Ok(view) = mailboxes.view(account, folder.id) else {
            continue;
        };
        let ids: Vec<_> = view.iter().map(|entry| entry.message).collect();
        let rows = mailboxes.messages(account, &ids)?;
        for (id, row) in ids.iter().zip(rows.into_iter().flatten().flatten()) {
            let _ = sealing.ledger(account, *id);
            let _ = sealing.exposures(row.digest);
            let _ = serve(&mailboxes, account, *id, &row);
            let _ = mailboxes.structure(&row);
            let _ = mailboxes.read(account, &row, 0..u64::MAX);
            let _ = mailboxes.copies(row.digest);
            let _ = mailboxes.thread(account, row.thread);
        }
    }
    Ok(())
}

fn serve(
    mailboxes: &Mailboxes,
    account: AccountId,
    message: MessageId,
    row: &MessageRow,
) -> Result<(), MailboxError> {
    let served = Served {
        account,
        message,
        digest: row.digest,
        origin: row.origin,
        carries: !row.carried.is_empty(),
        level: ExposureLevel::Body,
        share: Share::ALL,
    };
    mailboxes.record_served(&[served], &Viewer::default(), LATER)
}

fn change(engine: &MemEngine, account: AccountId) -> Result<(), MailboxError> {
    let Opened {
        mailboxes, upkeep, ..
    } = fixture::open(engine)?;
    let uids: Vec<Uid> = (1..8).map(Uid).collect();
    let change = FlagChange::Add(Flags::of(&[SystemFlag::Deleted, SystemFlag::Seen]));
    let request = FlagRequest {
        access: Access::owner(account, INBOX),
        uids: &uids,
        change: &change,
        unchanged_since: None,
        by: None,
    };
    let _ = mailboxes.change_flags(&request);
    let _ = fixture::append(&mailboxes, account, INBOX, b"Subject: one more\r\n\r\nx");
    if let Ok(sent) = mailboxes.folder(account, "Sent") {
        let transfer = Transfer {
            from: Access::owner(account, INBOX),
            uids: uids.get(..2).unwrap_or_default(),
            to: sent.id,
            by: None,
        };
        let _ = mailboxes.copy(&transfer, LATER);
        let _ = mailboxes.move_messages(&transfer, LATER);
        let _ = mailboxes.rename_folder(&Access::owner(account, sent.id), "Projects/Sent", LATER);
    }
    let _ = mailboxes.expunge(&Access::owner(account, INBOX), &uids, true, LATER);
    if let Ok(trash) = mailboxes.folder(account, "Trash") {
        let _ = mailboxes.delete_folder(&Access::owner(account, trash.id), LATER);
    }
    let _ = upkeep.finish_deletions(LATER);
    let _ = upkeep.collect(LATER, 100);
    let _ = upkeep.check(&BTreeMap::new());
    Ok(())
}
