//! What filters find, how orders sort, and which part of it is told.

use serde_json::{Value, json};
use tern_base::MailboxId;
use tern_mailbox::{Flags, INBOX, SystemFlag};

use crate::house::House;

const SENT: MailboxId = MailboxId(2);

struct Letter {
    from: &'static str,
    subject: &'static str,
    more: &'static str,
    body: &'static str,
}

const LETTERS: [Letter; 5] = [
    Letter {
        from: "Zoe <zoe@example.org>",
        subject: "Lunch",
        more: "To: alice@example.org\r\nX-Mark: one two\r\n",
        body: "Shall we eat\r\nsome fish?",
    },
    Letter {
        from: "adam@example.org",
        subject: "Re: Lunch",
        more: "To: Zoe <zoe@example.org>\r\nCc: carol@example.org\r\nIn-Reply-To: <0@example.org>\r\n",
        body: "No, cake.",
    },
    Letter {
        from: "=?utf-8?q?=C3=84nne?= <aenne@example.org>",
        subject: "=?utf-8?q?Stra=C3=9Fe?=",
        more: "Bcc: hidden@example.org\r\n",
        body: "Der Weg",
    },
    Letter {
        from: "Zoe <zoe@example.org>",
        subject: "budget",
        more: "Content-Type: multipart/mixed; boundary=b\r\n",
        body: "--b\r\n\r\nNumbers\r\n--b\r\nContent-Type: application/pdf\r\n\
               Content-Disposition: attachment; filename=x.pdf\r\n\r\nfish\r\n--b--\r\n",
    },
    Letter {
        from: "Bob <bob@example.org>",
        subject: "Agenda",
        more: "Content-Type: text/html\r\n",
        body: "<p>some &lt;fish&gt; <b>tomorrow</b></p>",
    },
];

fn content(n: usize, letter: &Letter) -> Vec<u8> {
    let Letter {
        from,
        subject,
        more,
        body,
    } = letter;
    format!(
        "From: {from}\r\nSubject: {subject}\r\nMessage-ID: <{n}@example.org>\r\n\
         Date: Sat, 21 Nov 2026 22:0{}:00 +0000\r\n{more}\r\n{body}\r\n",
        9 - n
    )
    .into_bytes()
}

/// Messages 1 to 5: of letter 0 and on, each received after the one before. The last is in Sent.
fn furnished() -> House {
    let mut house = House::new();
    for (n, letter) in LETTERS.iter().enumerate() {
        let mut flags = Flags::empty();
        flags.set(SystemFlag::Seen, n != 0);
        if n == 1 {
            flags.add_keyword("$Work");
        }
        let mailbox = if n == 4 { SENT } else { INBOX };
        house.append(mailbox, &content(n, letter), 10 * n as u64, flags);
    }
    house
}

/// The numbers of the messages that a query finds.
fn numbers(answer: &Value) -> Vec<u64> {
    let ids = answer["ids"].as_array().unwrap();
    let number = |id: &Value| id.as_str().unwrap().strip_prefix("M1-").unwrap().parse();
    ids.iter().map(|id| number(id).unwrap()).collect()
}

fn found(house: &mut House, filter: Value) -> Vec<u64> {
    let read = numbers(&house.call("Email/query", json!({"filter": filter})));
    // Now without reading what is known by then.
    let known = numbers(&house.call("Email/query", json!({"filter": filter})));
    assert_eq!(read, known, "{filter}");
    known
}

#[test]
fn every_condition_finds_what_it_says() {
    let mut house = furnished();
    let cases = [
        (json!(null), vec![1, 2, 3, 4, 5]),
        (json!({}), vec![1, 2, 3, 4, 5]),
        (json!({"inMailbox": "F1-2"}), vec![5]),
        (json!({"inMailbox": "F1-9"}), vec![]),
        (json!({"inMailbox": "F2-1"}), vec![]),
        (
            json!({"inMailboxOtherThan": ["F1-2", "F1-3"]}),
            vec![1, 2, 3, 4],
        ),
        (json!({"inMailboxOtherThan": []}), vec![1, 2, 3, 4, 5]),
        (json!({"before": "2023-11-14T22:13:40Z"}), vec![1, 2]),
        (json!({"after": "2023-11-14T22:13:40Z"}), vec![3, 4, 5]),
        (json!({"minSize": 250}), vec![4]),
        (json!({"maxSize": 250}), vec![1, 2, 3, 5]),
        (json!({"hasKeyword": "$Seen"}), vec![2, 3, 4, 5]),
        (json!({"notKeyword": "$seen"}), vec![1]),
        (json!({"hasKeyword": "$work"}), vec![2]),
        (json!({"allInThreadHaveKeyword": "$seen"}), vec![3, 4, 5]),
        (json!({"someInThreadHaveKeyword": "$work"}), vec![1, 2]),
        (json!({"noneInThreadHaveKeyword": "$work"}), vec![3, 4, 5]),
        (json!({"hasAttachment": true}), vec![4]),
        (json!({"hasAttachment": false}), vec![1, 2, 3, 5]),
        (json!({"text": "zoe"}), vec![1, 2, 4]),
        (json!({"text": "zoe cake"}), vec![2]),
        (json!({"text": "FISH"}), vec![1, 5]),
        (json!({"from": "ÄNNE"}), vec![3]),
        (json!({"from": "zoe@example"}), vec![1, 4]),
        (json!({"to": "zoe"}), vec![2]),
        (json!({"cc": "carol"}), vec![2]),
        (json!({"bcc": "hidden"}), vec![3]),
        (json!({"subject": "strasse"}), vec![]),
        (json!({"subject": "STRAßE"}), vec![3]),
        (json!({"body": "\"eat some\""}), vec![1]),
        (json!({"body": "\"some <fish>\""}), vec![5]),
        (json!({"body": "some fish"}), vec![1, 5]),
        (json!({"body": "zoe"}), vec![]),
        (json!({"header": ["X-Mark"]}), vec![1]),
        (json!({"header": ["x-mark", "two"]}), vec![1]),
        (json!({"header": ["X-Mark", "three"]}), vec![]),
        (json!({"from": "zoe", "hasAttachment": true}), vec![4]),
        (
            json!({"operator": "OR", "conditions": [{"subject": "agenda"}, {"body": "cake"}]}),
            vec![2, 5],
        ),
        (
            json!({"operator": "NOT", "conditions": [{"from": "zoe"}, {"body": "fish"}]}),
            vec![2, 3],
        ),
        (
            json!({"operator": "AND", "conditions": [
                {"hasKeyword": "$seen"},
                {"operator": "NOT", "conditions": [{"inMailbox": "F1-2"}]},
                {"operator": "OR", "conditions": [{"body": "cake"}, {"header": ["Bcc"]}]},
            ]}),
            vec![2, 3],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(found(&mut house, filter.clone()), expected, "{filter}");
    }
}

#[test]
fn every_order_sorts_as_it_says() {
    let mut house = furnished();
    let mut sorted = |sort: Value| numbers(&house.call("Email/query", json!({"sort": sort})));
    let cases = [
        (json!([{"property": "receivedAt"}]), vec![1, 2, 3, 4, 5]),
        (
            json!([{"property": "receivedAt", "isAscending": false}]),
            vec![5, 4, 3, 2, 1],
        ),
        (json!([{"property": "sentAt"}]), vec![5, 4, 3, 2, 1]),
        (
            json!([{"property": "from"}, {"property": "subject"}]),
            vec![2, 5, 4, 1, 3],
        ),
        (
            json!([{"property": "from", "collation": "i;octet"}]),
            vec![5, 1, 4, 2, 3],
        ),
        (
            json!([{"property": "subject", "collation": "i;ascii-casemap"}]),
            vec![5, 4, 1, 2, 3],
        ),
        (json!([{"property": "to"}]), vec![3, 4, 5, 1, 2]),
        (
            json!([{"property": "hasKeyword", "keyword": "$seen"}, {"property": "receivedAt", "isAscending": false}]),
            vec![1, 5, 4, 3, 2],
        ),
        (
            json!([{"property": "someInThreadHaveKeyword", "keyword": "$work", "isAscending": false}]),
            vec![1, 2, 3, 4, 5],
        ),
        (
            json!([{"property": "allInThreadHaveKeyword", "keyword": "$seen", "isAscending": false}]),
            vec![3, 4, 5, 1, 2],
        ),
    ];
    for (sort, expected) in cases {
        assert_eq!(sorted(sort.clone()), expected, "{sort}");
    }
    let sizes = sorted(json!([{"property": "size"}]));
    assert_eq!(sizes.last(), Some(&4));
}

#[test]
fn what_is_told_is_a_window_of_the_results() {
    let mut house = furnished();
    let mut ask = |args: Value| house.call("Email/query", args);
    let last = ask(json!({"position": -2, "limit": 1, "calculateTotal": true}));
    assert_eq!(numbers(&last), [4]);
    assert_eq!((&last["position"], &last["total"]), (&json!(3), &json!(5)));
    assert_eq!(last["limit"], Value::Null);
    assert_eq!(last["canCalculateChanges"], true);
    let around = ask(json!({"anchor": "M1-3", "anchorOffset": -1, "limit": 2}));
    assert_eq!(numbers(&around), [2, 3]);
    assert_eq!(around["position"], 1);
    assert_eq!(around.get("total"), None);
    let threads = ask(json!({"collapseThreads": true, "calculateTotal": true}));
    assert_eq!(numbers(&threads), [1, 3, 4, 5]);
    assert_eq!(threads["total"], 4);
    assert!(threads["limit"].is_u64(), "the server's own");
    let beyond = ask(json!({"position": 9}));
    assert_eq!(numbers(&beyond), [0; 0]);
}

#[test]
fn what_can_not_be_asked_is_told_by_its_type() {
    let mut house = furnished();
    let nested = (0..17).fold(
        json!({"text": "x"}),
        |inner, _| json!({"operator": "NOT", "conditions": [inner]}),
    );
    let cases = [
        (json!({"filter": {"odd": 1}}), "unsupportedFilter"),
        (json!({"filter": nested}), "unsupportedFilter"),
        (
            json!({"filter": {"before": "yesterday"}}),
            "invalidArguments",
        ),
        (json!({"filter": {"minSize": -1}}), "invalidArguments"),
        (json!({"filter": {"hasAttachment": 1}}), "invalidArguments"),
        (json!({"filter": {"header": []}}), "invalidArguments"),
        (json!({"filter": {"inMailbox": null}}), "invalidArguments"),
        (json!({"filter": []}), "invalidArguments"),
        (json!({"sort": [{"property": "odd"}]}), "unsupportedSort"),
        (
            json!({"sort": [{"property": "subject", "collation": "i;odd"}]}),
            "unsupportedSort",
        ),
        (
            json!({"sort": vec![json!({"property": "size"}); 17]}),
            "unsupportedSort",
        ),
        (
            json!({"sort": [{"property": "hasKeyword"}]}),
            "invalidArguments",
        ),
        (json!({"anchor": "M1-99"}), "anchorNotFound"),
        (json!({"anchor": "odd"}), "anchorNotFound"),
        (json!({"limit": -1}), "invalidArguments"),
        (json!({"collapseThreads": 1}), "invalidArguments"),
        (json!({"odd": 1}), "invalidArguments"),
    ];
    for (args, kind) in cases {
        assert_eq!(house.error("Email/query", args.clone()), kind, "{args}");
    }
    for state in ["", "x", "9999", "01", "1-odd"] {
        let args = json!({"sinceQueryState": state});
        let kind = house.error("Email/queryChanges", args);
        assert_eq!(kind, "cannotCalculateChanges", "{state}");
    }
    let changes = json!({"sinceQueryState": "1", "maxChanges": 4});
    assert_eq!(house.error("Email/queryChanges", changes), "tooManyChanges");
}

#[test]
fn what_is_sealed_is_found_by_no_search_and_told_by_no_count() {
    let mut house = furnished();
    let lunch = content(0, &LETTERS[0]);
    let before = house.call("Email/query", json!({"filter": {"body": "fish"}}));
    house.seal(&lunch);
    for filter in [
        json!({}),
        json!({"body": "fish"}),
        json!({"from": "zoe"}),
        json!({"operator": "NOT", "conditions": [{"body": "odd"}]}),
        json!({"header": ["X-Mark"]}),
    ] {
        assert!(!found(&mut house, filter.clone()).contains(&1), "{filter}");
    }
    let count = house.call("Email/query", json!({"calculateTotal": true}));
    assert_eq!(count["total"], 4);
    let threads = house.call(
        "Email/query",
        json!({"filter": {"allInThreadHaveKeyword": "$seen"}}),
    );
    assert_eq!(numbers(&threads), [2, 3, 4, 5]);
    // No change says that it is hidden: the state does.
    assert_ne!(count["queryState"], before["queryState"]);
    let since = json!({"filter": {"body": "fish"}, "sinceQueryState": before["queryState"]});
    let kind = house.error("Email/queryChanges", since.clone());
    assert_eq!(kind, "cannotCalculateChanges");
    house.withdraw(&lunch);
    house.unseal(&lunch);
    let changes = house.call("Email/queryChanges", since);
    assert_eq!(changes["removed"], json!(["M1-1"]));
    assert_eq!(changes["added"], json!([]));
}

#[test]
fn who_finds_words_of_a_body_is_on_record_by_then() {
    let mut house = furnished();
    let level = |house: &House, n: usize| {
        let digest =
            tern_mime::content_digest(house.mailboxes.content_key(), &content(n, &LETTERS[n]));
        let copies = house.mailboxes.copies(digest).unwrap();
        let ledger = house
            .sealing
            .ledger(copies[0].account, copies[0].message)
            .unwrap();
        ledger.servings.iter().any(|it| it.protocol == "jmap")
    };
    found(&mut house, json!({"from": "zoe"}));
    found(&mut house, json!({"body": "nowhere"}));
    assert!((0..5).all(|n| !level(&house, n)));
    // Only what the answer tells of.
    let first = json!({"filter": {"body": "fish"}, "limit": 1});
    house.call("Email/query", first);
    assert!(level(&house, 0) && !level(&house, 4));
    // What stands before it shows, too: only where that is found is this the second.
    let mut other = furnished();
    let second = json!({"filter": {"body": "fish"}, "position": 1, "limit": 1});
    other.call("Email/query", second);
    assert!(level(&other, 0) && level(&other, 4));
    found(
        &mut house,
        json!({"operator": "NOT", "conditions": [{"body": "cake"}]}),
    );
    assert!(level(&house, 1) && !level(&house, 2));
    let count = json!({"filter": {"body": "fish"}, "limit": 0, "calculateTotal": true});
    house.call("Email/query", count);
    assert!(level(&house, 4));
}

#[test]
fn snippets_show_where_a_text_is_found() {
    let mut house = furnished();
    let args = json!({
        "filter": {"text": "fish lunch"}, "emailIds": ["M1-1", "M1-5", "M1-3", "M1-9"],
    });
    let answer = house.call("SearchSnippet/get", args);
    let list = json!([
        {"emailId": "M1-1", "subject": "<mark>Lunch</mark>",
         "preview": "Shall we eat some <mark>fish</mark>?"},
        {"emailId": "M1-5", "subject": null,
         "preview": "some &lt;<mark>fish</mark>&gt; tomorrow"},
        {"emailId": "M1-3", "subject": null, "preview": null},
    ]);
    assert_eq!(answer["list"], list);
    assert_eq!(answer["notFound"], json!(["M1-9"]));
    let subject = json!({
        "filter": {"operator": "AND", "conditions": [
            {"subject": "lunch"}, {"operator": "NOT", "conditions": [{"body": "fish"}]},
        ]},
        "emailIds": ["M1-1"],
    });
    let answer = house.call("SearchSnippet/get", subject);
    assert_eq!(answer["list"][0]["preview"], Value::Null);
    assert_eq!(answer["notFound"], Value::Null);
    house.seal(&content(0, &LETTERS[0]));
    let sealed = json!({"filter": {"text": "fish"}, "emailIds": ["M1-1"]});
    let answer = house.call("SearchSnippet/get", sealed);
    assert_eq!(answer["notFound"], json!(["M1-1"]));
    let odd = json!({"filter": {"odd": 1}, "emailIds": []});
    assert_eq!(house.error("SearchSnippet/get", odd), "unsupportedFilter");
    let many = json!({"emailIds": vec!["M1-1"; 1_001]});
    assert_eq!(house.error("SearchSnippet/get", many), "requestTooLarge");
}

#[test]
fn what_a_search_looks_through_of_lists_is_bounded_too() {
    let mut house = House::new();
    let many: String = (0..2_600)
        .map(|n| format!("\r\n friend{n}@example.org,"))
        .collect();
    let letter = format!("From: a@example.org\r\nTo: {many} z@example.org\r\n\r\n");
    for n in 0..12 {
        house.append(INBOX, letter.as_bytes(), n, Flags::empty());
    }
    // Each is there, at the beginning.
    let names: Vec<String> = (0..60).map(|n| format!("friend{n}")).collect();
    let one = json!({"to": names.join(" ")});
    assert_eq!(found(&mut house, one.clone()).len(), 12);
    let filter = json!({"operator": "AND", "conditions": vec![one; 250]});
    let kind = house.error("Email/query", json!({"filter": filter}));
    assert_eq!(kind, "unsupportedFilter");
}
