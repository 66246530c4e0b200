//! What a client can grow, and how far.

/// Longest reason that is kept, in characters.
pub const MAX_REASON: usize = 1_000;
/// Longest text of a requester's in a notice to recipients, in characters.
pub const MAX_NOTICE_TEXT: usize = 2_000;
/// Most recipients that can be chosen one by one; a request with more is refused.
pub const MAX_CHOSEN: usize = 1_000;
/// Most bytes of these; they stand in one row, and in one entry of the audit log.
pub const MAX_CHOSEN_BYTES: usize = 32 * 1024;
/// Longest label of a message that is kept, in characters.
pub const MAX_LABEL: usize = 100;
/// What rates are counted over, in milliseconds.
pub const RATE_WINDOW_MS: u64 = 60 * 60 * 1000;
/// Most granted requests of an account within an hour that are counted; with what each covers they fit
/// one row.
pub const MAX_COUNTED: usize = 4_000;
/// Most requests of an account beyond its rate within an hour that are counted.
pub const MAX_LIMITED: usize = 100;
/// Refused requests of an account within an hour that are on record and reported one by one; the
/// next one stands for all that follow.
pub const MAX_REFUSALS: usize = 20;
/// Most submissions of a letter by other accounts that a seal leaves out one by one. Beyond that
/// it covers what the sender's own submissions brought, and nothing else; of what came in from outside all that did,
/// and what accounts send of it later.
pub const MAX_RIVALS: usize = 1_000;
/// Most further times that an account has sent a letter of which a recall says what became of each
/// recipient; those of the rest are covered all the same.
pub const MAX_ALSO: usize = 100;
/// Most bytes of a seal that say which chosen recipients outside it stops, of which sending of the letter. Those of
/// what does not fit, the oldest, are cancelled when the recall is carried out and not with its seal: that takes
/// hundreds of sendings, or tens of thousands of recipients who are chosen by a few addresses.
pub const MAX_OUTSIDE_BYTES: usize = 24 * 1024;
/// Text of a message by which it is known when it comes back from outside, in bytes: what follows may
/// have been changed on the way.
pub const MAX_PRINTED: usize = 64 * 1024;
/// Text parts of a message that may have come back that are looked at.
pub const MAX_PRINTED_PARTS: usize = 16;
/// Tokens of a message that are looked at.
pub const MAX_TOKENS: usize = 8;
/// Most bytes of one row of targets.
pub const TARGET_ROW_BYTES: usize = 48 * 1024;
/// Most messages that one retract takes back; a search that finds more touches none.
pub const MAX_RETRACTED: usize = 1_000;
/// How many answers deep a conversation is followed, and how many Message-IDs that a message answers are
/// filed.
pub const MAX_DEPTH: u8 = 5;
/// Most messages that are looked at since they say that they answer one, or answer what does.
pub const MAX_ANSWERS: usize = 10_000;
/// Most of them that are looked at for what is told of a recall, and most that it lists one by one.
pub const MAX_ANSWERS_SEEN: usize = 1_000;
/// See [`MAX_ANSWERS_SEEN`].
pub const MAX_ANSWERS_TOLD: usize = 100;
/// Most submissions that a search looks at; a narrower time goes over fewer.
pub const MAX_SEARCHED: usize = 1_000_000;
/// Addresses that a report mail lists one by one; the rest are counted.
pub const MAX_LISTED: usize = 200;
/// Bytes of a mail's text in which it may name a message; what comes later is not looked at.
pub const MAX_NAMING_TEXT: usize = 64 * 1024;
/// Words of a mail that may be Message-IDs and are looked up; the rest are not.
pub const MAX_NAMED: usize = 100;
/// Requests of an account, by keyword or by mail, that are seen to in one go; the rest have their turn
/// after other accounts.
pub const TRIGGER_PAGE: usize = 100;
/// Recipients of a recall message of Outlook that are compared with those of the message that it
/// may be about.
pub const MAX_OUTLOOK_RECIPIENTS: usize = 50;
/// Most recent submissions of the server among which the message is looked for that a recall message
/// of Outlook is about.
pub const MAX_OUTLOOK_SEARCHED: usize = 2_000;
/// Messages with the right subject whose recipients are compared with those of a recall message of
/// Outlook, and the most recipients that are.
pub const MAX_OUTLOOK_COMPARED: usize = 5;
/// See [`MAX_OUTLOOK_COMPARED`].
pub const MAX_OUTLOOK_TARGETS: usize = 5_000;
/// Most recalls of one requester that wait for a second factor or for approval; a request beyond
/// them is refused.
pub const MAX_WAITING: usize = 100;
/// Most recalls of one account that are planned for later, by the time of expiry that its messages were
/// sent with; one more is refused.
pub const MAX_PLANNED: usize = 1_000;
/// Planned recalls that begin, and waiting ones that expire, in one go; the rest have their turn after
/// other chores.
pub const DUE_AT_ONCE: usize = 200;
/// Most recalls that wait for a second factor or for approval that a list shows.
pub const MAX_WAITING_SHOWN: usize = 1_000;
/// Most planned recalls that it shows below them.
pub const MAX_PLANNED_SHOWN: usize = 100;
/// Most people who are written to that they may approve a recall, or that an account is frozen; others
/// find it in the list.
pub const MAX_APPROVERS_TOLD: usize = 50;
/// How long a link to approve a recall is good at the most, in milliseconds: three days.
pub const APPROVAL_LINK_MS: u64 = 3 * 24 * 60 * 60 * 1000;
/// How long after it was sent a message may expire at the latest, in milliseconds: ten years.
pub const MAX_EXPIRY_MS: u64 = 10 * 366 * 24 * 60 * 60 * 1000;
/// Arrivals that one look for what can be forgotten goes over; the next one goes on behind them.
pub const ARRIVALS_LOOKED_AT: usize = 10_000;
/// Rows of where an arrival led that one transaction forgets.
pub const FORGOTTEN_AT_ONCE: usize = 100;
/// Most recalls of one letter that somebody has asked for, each of which takes copies that the others leave; a
/// request beyond them is refused, unless it takes all that some of them do.
pub const MAX_RECALLS_OF_ONE: usize = 100;
/// Most recalls of one letter, whoever has asked for them.
pub const MAX_RECALLS_OF_ALL: usize = 500;
/// How far ahead of the clock a time may lie that it has given, in milliseconds: beyond that the
/// clock was wrong then, and the time counts for nothing.
pub const CLOCK_SLACK_MS: u64 = 60 * 1000;
/// Most copies of one evidence; that there are more is said.
pub const MAX_EVIDENCE_COPIES: usize = 100_000;
/// Most holds that there are at once.
pub const MAX_HOLDS: u64 = 1_000;
/// Longest Message-ID or subject that a hold is over, in bytes.
pub const MAX_SCOPE_TEXT: usize = 1_000;
/// Longest part number or file name by which one attachment is asked for, in characters.
pub const MAX_ATTACHMENT_NAME: usize = 255;
/// Copies of a message that are looked at for its content.
pub const MAX_COPIES_READ: usize = 16;
/// Copies that one step of reading out what is under a hold looks at.
pub const HELD_LOOKED_AT: usize = 1_000;
/// How long after it was configured a shorter time of keeping withdrawn copies begins to count, in
/// milliseconds.
pub const RETENTION_GRACE_MS: u64 = 24 * 60 * 60 * 1000;
/// Octets after which such a step hands over what it has; one copy may be larger.
pub const HELD_PAGE_BYTES: u64 = 4 << 20;
/// News of recalls that are kept of an account: what a client missed that comes back later than that many it
/// has to ask for anew.
pub const MAX_NEWS: u64 = 20_000;
