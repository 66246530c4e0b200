//! A directory from a text, and its answers as text: what the tests of this crate share.

use tern_base::{AccountId, Domain, EmailAddress, Timestamp};
use tern_directory::{
    DirectoryError, DomainSettings, NewAccount, Resolution, Step, Target, account_by_address,
    add_domain, add_members, create_account, create_group, finish_group_removal, group_by_address,
    groups_being_removed, remove_account, remove_alias, remove_domain, remove_group,
    remove_members, resolve, set_alias, set_domain, set_redirect_in, update_account,
};
use tern_store::{Engine, StoreError, Verdict, transact};

/// An address; a name without a domain is at `a.example`.
pub(crate) fn address(text: &str) -> EmailAddress {
    let text = match text.contains('@') {
        true => text.to_owned(),
        false => format!("{text}@a.example"),
    };
    EmailAddress::parse(&text).unwrap()
}

fn targets(words: &[&str]) -> Vec<Target> {
    let target = |word: &&str| match word.strip_prefix('#') {
        Some(id) => Target::Account(AccountId(id.parse().unwrap())),
        None => Target::Address(address(word)),
    };
    words.iter().map(target).collect()
}

fn account_id(engine: &dyn Engine, name: &str) -> Result<AccountId, DirectoryError> {
    if let Some(id) = name.strip_prefix('#') {
        return Ok(AccountId(id.parse().unwrap()));
    }
    let found = account_by_address(engine, &address(name))?;
    Ok(found.map_or(AccountId(0), |account| account.id))
}

/// Does one line: `verb subject arguments...`.
pub(crate) fn act(engine: &dyn Engine, line: &str) -> Result<(), DirectoryError> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let (verb, subject, rest) = (words[0], words[1], &words[2..]);
    let domain = || Domain::parse(subject).unwrap();
    let now = Timestamp(line.len() as u64);
    let group = || -> Result<_, DirectoryError> {
        let found = group_by_address(engine, &address(subject))?;
        found.map(|g| g.id).ok_or(DirectoryError::NotFound("group"))
    };
    match verb {
        "domain" => add_domain(engine, &domain(), now).map(drop),
        "-domain" => remove_domain(engine, &domain()).map(drop),
        "catch-all" | "postmaster" => {
            let mut settings = DomainSettings::default();
            let target = targets(rest).pop();
            match verb {
                "catch-all" => settings.catch_all = target,
                _ => settings.postmaster = target,
            }
            set_domain(engine, &domain(), &settings)
        }
        "account" => {
            let new = NewAccount {
                address: address(subject),
                display_name: rest.join(" "),
                quota_bytes: 1 << 30,
            };
            create_account(engine, &new, now).map(drop)
        }
        "-account" => remove_account(engine, account_id(engine, subject)?).map(drop),
        "disable" => {
            let id = account_id(engine, subject)?;
            update_account(engine, id, |account| account.disabled = true).map(drop)
        }
        // `redirect account keep|go targets...`
        "redirect" => {
            let to: Vec<EmailAddress> = rest[1..].iter().map(|word| address(word)).collect();
            let id = account_id(engine, subject)?;
            transact(engine, |txn| {
                set_redirect_in(txn, id, &to, rest[0] == "keep").map(Verdict::Commit)
            })
            .map(drop)
        }
        "alias" => set_alias(engine, &address(subject), &targets(rest)).map(drop),
        "-alias" => remove_alias(engine, &address(subject)).map(drop),
        "group" => match group() {
            Ok(id) => add_members(engine, id, &targets(rest)).map(drop),
            Err(_) => {
                let group = create_group(engine, &address(subject), "", now)?;
                add_members(engine, group.id, &targets(rest)).map(drop)
            }
        },
        "leave" => remove_members(engine, group()?, &targets(rest)).map(drop),
        "-group" => match group() {
            Ok(id) => remove_group(engine, id).map(drop),
            // What was cut off is gone on with.
            Err(DirectoryError::NotFound(_)) => {
                let left = groups_being_removed(engine)?;
                left.into_iter()
                    .try_for_each(|id| finish_group_removal(engine, id))
            }
            Err(error) => Err(error),
        },
        _ => panic!("{line}"),
    }
}

/// Does every line; a lost answer is asked for again.
pub(crate) fn build(engine: &dyn Engine, text: &str) {
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        loop {
            match act(engine, line) {
                Ok(()) => break,
                Err(DirectoryError::Store(StoreError::Unknown)) => {}
                Err(error) => panic!("{line}: {error}"),
            }
        }
    }
}

/// The answer for an address, on one line.
pub(crate) fn shown(engine: &dyn Engine, text: &str) -> String {
    let found = match resolve(engine, &address(text)).unwrap() {
        Resolution::Found(found) => found,
        other => return format!("{other:?}"),
    };
    let path = |via: &[Step]| -> String {
        let step = |step: &Step| match step {
            Step::Alias(address) => format!(" < alias {}", address.local()),
            Step::Group { address, .. } => format!(" < group {}", address.local()),
            Step::CatchAll(domain) => format!(" < catch-all {domain}"),
            Step::Postmaster(domain) => format!(" < postmaster {domain}"),
            Step::Redirect(address) => format!(" < redirect {}", address.local()),
        };
        via.iter().rev().map(step).collect()
    };
    let mut parts = Vec::new();
    for recipient in &found.accounts {
        parts.push(format!(
            "{}{}",
            recipient.address.local(),
            path(&recipient.via)
        ));
    }
    for recipient in &found.outside {
        parts.push(format!("out {}{}", recipient.address, path(&recipient.via)));
    }
    for skipped in &found.skipped {
        let target = match &skipped.target {
            Target::Account(id) => format!("#{id}"),
            Target::Address(address) => address.local().to_owned(),
        };
        parts.push(format!(
            "skip {:?} {target}{}",
            skipped.reason,
            path(&skipped.via)
        ));
    }
    parts.extend(found.tag.map(|tag| format!("tag {tag}")));
    parts.join("; ")
}
