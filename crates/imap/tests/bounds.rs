//! What one command may cost, however it is put. Each of these went on for a minute, or took
//! gigabytes, where the answer was made of what was asked rather than of what is there.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod common;

use common::{BOB, Client, House};
use tern_session::Protocol as _;

fn house(messages: usize) -> (House, Client) {
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    for number in 0..messages {
        let content = format!("Subject: {number}\r\n\r\nx\r\n");
        client.append(&mut house, "INBOX", "", content.as_bytes());
    }
    client.output.clear();
    (house, client)
}

/// The UIDVALIDITY in the answer to a SELECT.
fn uid_validity(selected: &str) -> &str {
    let (_, rest) = selected.split_once("[UIDVALIDITY ").unwrap();
    rest.split_once(']').unwrap().0
}

#[test]
fn four_billion_numbers_matched_to_as_many_uids_are_not_counted_out() {
    let (mut house, mut client) = house(5);
    client.ask(&mut house, "e ENABLE QRESYNC");
    let selected = client.ask(&mut house, "s SELECT INBOX");
    let validity = uid_validity(&selected).to_owned();
    client.ask(&mut house, "d STORE 2,4 +FLAGS.SILENT (\\Deleted)");
    client.ask(&mut house, "x EXPUNGE");
    let mut vanished = |known: &str| {
        let command = format!("a SELECT INBOX (QRESYNC ({validity} 1 {known}))");
        let told = client.ask(&mut house, &command);
        assert!(told.ends_with("a OK [READ-WRITE] Select completed\r\n"));
        let mut lines = told.lines();
        let line = lines.find_map(|line| line.strip_prefix("* VANISHED (EARLIER) "));
        line.unwrap_or_default().to_owned()
    };
    let every = "1:4294967295";
    assert_eq!(vanished(every), "2,4");
    // The client takes 1 for 1, as it is, and 3 for 3, which is 2 here.
    assert_eq!(vanished(&format!("{every} ({every} {every})")), "2,4");
    // It takes 3 for 5, as it is: up to there it has missed nothing.
    assert_eq!(vanished("1:5 (1,3 1,5)"), "");
    assert_eq!(vanished("1:5 (1:2,4:4294967294 1,3:4294967295)"), "4");
}

#[test]
fn every_uid_named_thousands_of_times_is_asked_for_what_is_there() {
    let (mut house, mut client) = house(3);
    client.ask(&mut house, "s SELECT INBOX");
    let keys = "UID 1:4294967295 ".repeat(3_800);
    let answer = client.ask(&mut house, &format!("a SEARCH {keys}NOT UID 2"));
    assert_eq!(answer, "* SEARCH 1 3\r\na OK Search completed\r\n");
    let keys = "NOT $ ".repeat(2_000);
    let answer = client.ask(&mut house, &format!("b SEARCH {keys}1:4294967295"));
    assert_eq!(answer, "* SEARCH 1 2 3\r\nb OK Search completed\r\n");
    let stored = client.ask(&mut house, "c UID STORE 2:4294967295 +FLAGS (\\Seen)");
    assert_eq!(stored.matches(" FETCH (").count(), 2, "{stored}");
}

/// A message with one part of so many octets, in base64.
fn encoded(octets: usize) -> Vec<u8> {
    let header =
        "Subject: x\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let line = format!("{}\r\n", "QUJD".repeat(19));
    let mut content = header.as_bytes().to_vec();
    content.extend(line.as_bytes().repeat(octets / 57));
    content
}

#[test]
fn a_fetch_that_reads_much_and_writes_little_is_many_steps() {
    const MESSAGES: usize = 12;
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    // No two of them are the same content.
    for number in 0..MESSAGES {
        client.append(&mut house, "INBOX", "", &encoded((3 << 20) + 57 * number));
    }
    let header = format!("X: y\r\nLong: {}\r\n\r\n", "z".repeat(4 << 20));
    for _ in 0..MESSAGES {
        client.append(&mut house, "Junk", "", header.as_bytes());
    }
    let mut steps = |mailbox: &str, items: &str, fetches: usize| {
        client.ask(&mut house, &format!("s SELECT {mailbox}"));
        client.steps = 0;
        let answer = client.ask(&mut house, &format!("a FETCH 1:* {items}"));
        assert!(answer.ends_with("a OK Fetch completed\r\n"), "{answer}");
        assert_eq!(answer.matches(" FETCH (").count(), fetches);
        client.steps
    };
    // What is known of a part is told without a look at it.
    let few = steps("INBOX", "BINARY.SIZE[1]", MESSAGES);
    // Nobody decodes what is not asked for; four megabytes are read to get to the end, and three decoded:
    // three of them to a step.
    assert!(steps("INBOX", "BINARY.PEEK[1]<0.1>", MESSAGES) <= few + 1);
    assert!(steps("INBOX", "BINARY.PEEK[1]<3000000.1>", MESSAGES) >= few + 3);
    // Of a header no more than a megabyte is read for its fields.
    assert!(steps("Junk", "BODY.PEEK[HEADER.FIELDS (X)]", MESSAGES) <= few + 1);
    let fields: Vec<String> = (0..9)
        .map(|n| format!("BODY.PEEK[HEADER.FIELDS (X{n})]"))
        .collect();
    let fields = fields.join(" ");
    let many = steps("Junk", &format!("({fields})"), MESSAGES);
    assert!(many >= few + 6, "{many}, {few}");
    assert_eq!(
        steps("Junk", &format!("({fields} {fields})"), MESSAGES),
        many
    );
}

/// What a literal says; the answer has one.
fn literal(answer: &[u8]) -> &[u8] {
    let open = answer.iter().position(|octet| *octet == b'{').unwrap();
    let close = open
        + answer[open..]
            .iter()
            .position(|octet| *octet == b'}')
            .unwrap();
    let size: usize = std::str::from_utf8(&answer[open + 1..close])
        .unwrap()
        .parse()
        .unwrap();
    &answer[close + 3..close + 3 + size]
}

#[test]
fn a_part_that_is_fetched_in_pieces_is_decoded_about_once() {
    const PIECE: usize = 100_000;
    let bodies = [
        (
            "base64",
            format!("{}\r\n", "QUJD+/==".repeat(9)).repeat(9_000),
        ),
        ("base64", "QUJDQ".repeat(110_000)),
        (
            "quoted-printable",
            "caf=C3=A9 =20 au lait=\r\nou noir \r\n".repeat(16_000),
        ),
        // No line ends: it is one unit.
        ("quoted-printable", "=00=FF.".repeat(110_000)),
        ("8bit", "caf\u{e9} au lait\r\n".repeat(30_000)),
    ];
    let (mut house, mut client) = house(0);
    for (encoding, body) in &bodies {
        let content = format!(
            "Content-Type: application/x\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n{body}"
        );
        client.append(&mut house, "INBOX", "", content.as_bytes());
    }
    client.ask(&mut house, "s SELECT INBOX");
    let mut fetch = |number: usize, what: &str| {
        client.output.clear();
        client.steps = 0;
        let command = format!("a FETCH {number} {what}\r\n");
        client.send(&mut house, command.as_bytes(), usize::MAX);
        (std::mem::take(&mut client.output), client.steps)
    };
    for number in 1..=bodies.len() {
        let (answer, _) = fetch(number, "BINARY.PEEK[1]");
        let whole = literal(&answer).to_vec();
        assert!(whole.len() > 3 * PIECE, "{number}: {}", whole.len());
        // From the beginning, and from the end.
        let starts: Vec<usize> = (0..=whole.len()).step_by(PIECE).collect();
        for start in starts.iter().chain(starts.iter().rev()) {
            let (answer, _) = fetch(number, &format!("BINARY.PEEK[1]<{start}.{PIECE}>"));
            let expected = &whole[*start..whole.len().min(start + PIECE)];
            assert!(literal(&answer) == expected, "{number}: {start}");
        }
        let (answer, _) = fetch(number, "BINARY.PEEK[1]<99999999.1>");
        assert_eq!(literal(&answer), b"");
    }
}

#[test]
fn looks_into_a_part_in_whatever_order_are_few_steps() {
    let (mut house, mut client) = house(0);
    client.append(&mut house, "INBOX", "", &encoded(2 << 20));
    client.ask(&mut house, "s SELECT INBOX");
    let looks = (0..60).rev();
    let looks: Vec<String> = looks
        .map(|n| format!("BINARY.PEEK[1]<{}.1>", n * 30_000))
        .collect();
    client.steps = 0;
    client.ask(&mut house, &format!("a FETCH 1 ({})", looks.join(" ")));
    // Each decoding the part up to there would be a hundred megabytes.
    assert!(client.steps <= 5, "{}", client.steps);
}

#[test]
fn what_is_asked_for_twice_is_told_once() {
    let (mut house, mut client) = house(1);
    let items = "DELETED-STORAGE MESSAGES ".repeat(500);
    let told = client.ask(
        &mut house,
        &format!("a STATUS INBOX ({})", items.trim_end()),
    );
    let expected = "* STATUS INBOX (DELETED-STORAGE 0 MESSAGES 1)\r\na OK Status completed\r\n";
    assert_eq!(told, expected);
    client.ask(&mut house, "s SELECT INBOX");
    let told = client.ask(&mut house, "b FETCH 1 (UID FLAGS UID FLAGS)");
    assert_eq!(
        told,
        "* 1 FETCH (UID 1 FLAGS ())\r\nb OK Fetch completed\r\n"
    );
}

#[test]
fn a_large_mailbox_is_deleted_in_many_steps_and_whatever_cuts_them_off() {
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    let whole = |house: &mut House, client: &mut Client, name: &str| {
        client.ask(house, &format!("c CREATE {name}"));
        for _ in 0..1_600 {
            client.append(house, name, "", b"Subject: x\r\n\r\n");
        }
        client.output.clear();
        client.steps = 0;
    };
    whole(&mut house, &mut client, "One");
    let told = client.ask(&mut house, "d DELETE One");
    assert_eq!(told, "d OK Delete completed\r\n");
    assert!(client.steps > 4, "{} steps", client.steps);
    assert!(!house.mailboxes.is_emptying(BOB).unwrap());

    whole(&mut house, &mut client, "Two");
    client.session.receive(b"e DELETE Two\r\n", house.now);
    assert!(client.step(&mut house), "a part of it");
    let two = house.mailboxes.folder(BOB, "Two");
    assert_eq!(two.map(drop), Err(tern_mailbox::MailboxError::NoMailbox));
    assert!(house.mailboxes.is_emptying(BOB).unwrap());
    drop(client);
    house.upkeep.finish_deletions(house.now).unwrap();
    assert_eq!(house.mailboxes.account_head(BOB).unwrap().messages, 0);
    house.check();
}

/// What comes while it goes on is not of it: it would never end where mail keeps coming.
#[test]
fn a_rename_of_the_inbox_takes_what_was_there() {
    let (mut house, mut client) = house(1_100);
    client
        .session
        .receive(b"r RENAME INBOX Before\r\n", house.now);
    assert!(client.step(&mut house), "a piece, and more to come");
    let mut left = 0;
    while client.step(&mut house) {
        left += 1;
        assert!(left < 10, "it goes on and on");
        house.deliver(format!("Subject: later {left}\r\n\r\n").into_bytes(), false);
    }
    let told = String::from_utf8(std::mem::take(&mut client.output)).unwrap();
    assert!(told.ends_with("r OK Rename completed\r\n"), "{told}");
    assert!(left > 0);
    let status = |client: &mut Client, house: &mut House, mailbox: &str| {
        client.ask(house, &format!("n STATUS {mailbox} (MESSAGES)"))
    };
    let before = status(&mut client, &mut house, "Before");
    assert!(before.contains("(MESSAGES 1100)"), "{before}");
    let inbox = status(&mut client, &mut house, "INBOX");
    assert!(inbox.contains(&format!("(MESSAGES {left})")), "{inbox}");
    house.check();
}

/// A message whose structure is too much for a row of the store, in so many octets.
fn of_many_parts(number: usize, octets: usize) -> Vec<u8> {
    let mut content =
        format!("Subject: {number}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n");
    for part in 0..3_000 {
        content.push_str(&format!(
            "--b\r\nContent-ID: <{part}@example.org>\r\n\r\n\r\n"
        ));
    }
    content.push_str("--b\r\n\r\n");
    content.push_str(&"filler and more\r\n".repeat(octets / 17));
    content.push_str("\r\n--b--\r\n");
    content.into_bytes()
}

#[test]
fn a_structure_that_is_made_anew_is_charged_as_what_it_is_made_of() {
    const MESSAGES: usize = 16;
    let mut house = House::new();
    let mut client = Client::login(&mut house);
    for number in 0..MESSAGES {
        client.append(&mut house, "INBOX", "", &of_many_parts(number, 8 << 20));
    }
    client.output.clear();
    for command in [
        "SEARCH SUBJECT nowhere",
        "SORT (SUBJECT) UTF-8 ALL",
        "FETCH 1:* PREVIEW",
        "FETCH 1:* BODY.PEEK[1.MIME]",
    ] {
        // Each begins with nothing at hand.
        house.reopen();
        client.ask(&mut house, "s SELECT INBOX");
        client.steps = 0;
        let told = client.ask(&mut house, &format!("a {command}"));
        assert!(told.contains("a OK "), "{command}: {told}");
        // Two of them to a step at the most.
        assert!(client.steps >= MESSAGES / 2, "{command}: {}", client.steps);
    }
}
