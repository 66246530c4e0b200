//! What the response writer puts on the wire, and how fast it writes flags.

#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

use tern_base::Timestamp;
use tern_imap::command::{SpecialUse, StatusItem, Tag};
use tern_imap::fetch::{BodySection, SectionText};
use tern_imap::respond::ResponseWriter;
use tern_imap::respond::data::{Esearch, Listed, QuotaResource};
use tern_imap::respond::fetch::{DELETED, SEEN};
use tern_imap::respond::status::{Code, CodeName, Condition};

fn check(expect: &str, write: impl FnOnce(&mut ResponseWriter)) {
    let mut out = ResponseWriter::new();
    write(&mut out);
    assert_eq!(String::from_utf8_lossy(out.as_bytes()), expect);
}

fn check_utf8(expect: &str, write: impl FnOnce(&mut ResponseWriter)) {
    check(expect, |out| {
        out.set_utf8(true);
        write(out);
    });
}

#[test]
fn strings() {
    let string = |expect: &str, bytes: &[u8]| {
        check(expect, |out| {
            out.string(bytes);
        })
    };
    string("\"\"", b"");
    string("\"a b\"", b"a b");
    string("\"a \\\"b\\\" \\\\c\"", b"a \"b\" \\c");
    string("{3}\r\na\rb", b"a\rb");
    string("{3}\r\na\nb", b"a\nb");
    string("{2}\r\n\u{e9}", "é".as_bytes());
    string("{1}\r\n\u{fffd}", b"\0");
    string(&format!("{{1001}}\r\n{}", "x".repeat(1001)), &[b'x'; 1001]);
    check_utf8("\"é\\\"\"", |out| {
        out.string("é\"".as_bytes());
    });
    check_utf8("{3}\r\né\n", |out| {
        out.string("é\n".as_bytes());
    });
    check_utf8("{1}\r\n\u{fffd}", |out| {
        out.string(b"\xff");
    });
    let astring = |expect: &str, bytes: &[u8]| {
        check(expect, |out| {
            out.astring(bytes);
        })
    };
    astring("a]b", b"a]b");
    astring("\"nil\"", b"nil");
    astring("\"\"", b"");
    astring("\"a b\"", b"a b");
    astring("\"a%\"", b"a%");
    check("NIL \"x\"", |out| {
        out.nstring(None).byte(b' ').nstring(Some(b"x"));
    });
    check("INBOX &AOk- a&-b \"a b\"", |out| {
        out.mailbox("INBOX")
            .byte(b' ')
            .mailbox("é")
            .byte(b' ')
            .mailbox("a&b")
            .byte(b' ')
            .mailbox("a b");
    });
    check_utf8("\"é\" a&b", |out| {
        out.mailbox("é").byte(b' ').mailbox("a&b");
    });
    check("a?  * OK", |out| {
        out.text("aé\r\n* OK");
    });
    check_utf8("aé", |out| {
        out.text("aé");
    });
}

#[test]
fn dates_and_sets() {
    check("\" 7-Feb-1994 20:22:05 +0000\"", |out| {
        out.date_time(Timestamp::from_civil(1994, 2, 7, 20, 22, 5).unwrap());
    });
    check("\"21-Nov-2026 00:00:00 +0000\"", |out| {
        out.date_time(Timestamp::from_civil(2026, 11, 21, 0, 0, 0).unwrap());
    });
    check("1:5,8,4294967295", |out| {
        out.ranges(&[(1, 5), (8, 8), (u32::MAX, u32::MAX)]);
    });
}

#[test]
fn status_responses() {
    let tag = Tag::new("a1").unwrap();
    let ok = |expect: &str, code: Code<'_>| {
        check(expect, |out| {
            out.tagged(&tag, Condition::Ok, Some(code), "Done")
        });
    };
    ok("a1 OK [READ-WRITE] Done\r\n", CodeName::ReadWrite.into());
    ok(
        "a1 OK [CAPABILITY IMAP4rev1 IDLE] Done\r\n",
        Code::Capability("IMAP4rev1 IDLE"),
    );
    ok(
        "a1 OK [PERMANENTFLAGS (\\Seen $X \\*)] Done\r\n",
        Code::PermanentFlags(&["\\Seen", "$X"], true),
    );
    ok(
        "a1 OK [PERMANENTFLAGS (\\*)] Done\r\n",
        Code::PermanentFlags(&[], true),
    );
    ok(
        "a1 OK [PERMANENTFLAGS ()] Done\r\n",
        Code::PermanentFlags(&[], false),
    );
    ok("a1 OK [UIDNEXT 7] Done\r\n", Code::UidNext(7));
    ok("a1 OK [UIDVALIDITY 7] Done\r\n", Code::UidValidity(7));
    ok(
        "a1 OK [HIGHESTMODSEQ 9223372036854775807] Done\r\n",
        Code::HighestModseq(i64::MAX as u64),
    );
    ok(
        "a1 OK [MODIFIED 7,9:10] Done\r\n",
        Code::Modified(&[(7, 7), (9, 10)]),
    );
    ok(
        "a1 OK [APPENDUID 38505 3955] Done\r\n",
        Code::AppendUid(38505, &[(3955, 3955)]),
    );
    ok(
        "a1 OK [COPYUID 38505 304,319:320 3956:3958] Done\r\n",
        Code::CopyUid(38505, &[(304, 304), (319, 320)], &[(3956, 3958)]),
    );
    ok("a1 OK [MAILBOXID (F1)] Done\r\n", Code::MailboxId("F1"));
    ok(
        "a1 OK [BADCHARSET (US-ASCII UTF-8)] Done\r\n",
        Code::BadCharset,
    );
    check("* BYE Done\r\n", |out| {
        out.untagged(Condition::Bye, None, "")
    });
    check("* NO [ALERT] x  y\r\n", |out| {
        out.untagged(Condition::No, Some(CodeName::Alert.into()), "x\r\ny");
    });
    check("+ idling\r\n", |out| out.continuation("idling"));
    check("+ \r\n", |out| out.continuation(""));
}

#[test]
fn untagged_data() {
    check("* LIST (\\Noselect) \"/\" \"a b\"\r\n", |out| {
        out.list(&Listed {
            name: "a b".into(),
            attributes: vec!["Noselect"],
            ..Listed::default()
        });
    });
    check(
        "* LIST (\\HasNoChildren \\Sent) \"/\" Sent (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))\r\n",
        |out| {
            out.list(&Listed {
                name: "Sent".into(),
                attributes: vec!["HasNoChildren"],
                special_use: vec![SpecialUse::Sent],
                child_info: vec!["SUBSCRIBED", "SPECIAL-USE"],
            });
        },
    );
    check("* LSUB () \"/\" &AOk-\r\n", |out| {
        out.lsub(&Listed {
            name: "é".into(),
            ..Listed::default()
        });
    });
    check(
        "* STATUS INBOX (MESSAGES 2 UIDNEXT 5 MAILBOXID (F1))\r\n",
        |out| {
            out.status(
                "INBOX",
                &[(StatusItem::Messages, 2), (StatusItem::UidNext, 5)],
                Some("F1"),
            );
        },
    );
    check(
        "* FLAGS (\\Seen $X)\r\n* 3 EXISTS\r\n* 0 RECENT\r\n* 2 EXPUNGE\r\n",
        |out| {
            out.flags(&["\\Seen", "$X"]);
            out.exists(3);
            out.recent(0);
            out.expunge(2);
        },
    );
    check(
        "* VANISHED (EARLIER) 300:310,405\r\n* VANISHED 7\r\n",
        |out| {
            out.vanished(true, &[(300, 310), (405, 405)]);
            out.vanished(false, &[(7, 7)]);
            out.vanished(false, &[]);
        },
    );
    let tag = Tag::new("A282").unwrap();
    check("* ESEARCH (TAG \"A282\") MIN 2 COUNT 3\r\n", |out| {
        out.esearch(
            &tag,
            &Esearch {
                min: Some(2),
                count: Some(3),
                ..Esearch::default()
            },
        );
    });
    check(
        "* ESEARCH (TAG \"A282\") UID MAX 9 ALL 2,10:11 MODSEQ 5\r\n",
        |out| {
            let all = [(2, 2), (10, 11)];
            let result = Esearch {
                uid: true,
                max: Some(9),
                all: Some(&all),
                modseq: Some(5),
                ..Esearch::default()
            };
            out.esearch(&tag, &result);
        },
    );
    check("* ESEARCH (TAG \"A282\") UID\r\n", |out| {
        out.esearch(
            &tag,
            &Esearch {
                uid: true,
                all: Some(&[]),
                ..Esearch::default()
            },
        );
    });
    check(
        "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n* NAMESPACE ((\"\" \"/\")) ((\"Other Users/\" \"/\")) ((\"Shared/\" \"/\"))\r\n",
        |out| {
            out.namespace(&[], &[]);
            out.namespace(&["Other Users/"], &["Shared/"]);
        },
    );
    check(
        "* ENABLED CONDSTORE\r\n* ID NIL\r\n* ID (\"name\" \"Tern\")\r\n",
        |out| {
            out.enabled(&["CONDSTORE"]);
            out.id(&[]);
            out.id(&[("name", "Tern")]);
        },
    );
    check(
        "* QUOTA \"\" (STORAGE 10 512)\r\n* QUOTAROOT INBOX \"\"\r\n",
        |out| {
            out.quota(
                "",
                &[QuotaResource {
                    name: "STORAGE",
                    usage: 10,
                    limit: 512,
                }],
            );
            out.quota_root("INBOX", &[""]);
        },
    );
}

#[test]
fn fetch_items() {
    check(
        "* 12 FETCH (FLAGS (\\Deleted \\Seen $X) UID 7 MODSEQ (5) RFC822.SIZE 10)\r\n",
        |out| {
            out.fetch(12)
                .flags(SEEN | DELETED, ["$X"])
                .uid(7)
                .modseq(5)
                .size(10)
                .end();
        },
    );
    check(
        "* 1 FETCH (FLAGS () EMAILID (M1) THREADID (T1) SAVEDATE NIL PREVIEW \"hi\")\r\n",
        |out| {
            out.fetch(1)
                .flags(0, [])
                .email_id("M1")
                .thread_id("T1")
                .save_date(None)
                .preview(Some("hi"))
                .end();
        },
    );
    let section = |path: &[u32], text, partial| BodySection {
        path: path.to_vec(),
        text,
        partial,
        peek: true,
    };
    let check_section = |expect: &str, section: BodySection| {
        check(&format!("* 1 FETCH ({expect} {{2}}\r\nhi)\r\n"), |out| {
            out.fetch(1).section_name(&section);
            out.literal_header(2).literal_content(b"h");
            out.literal_content(b"i");
            out.fetch_again().end();
        });
    };
    check_section("BODY[]", section(&[], SectionText::All, None));
    check_section("BODY[]<5>", section(&[], SectionText::All, Some((5, 10))));
    check_section("BODY[1.2]", section(&[1, 2], SectionText::All, None));
    check_section("BODY[1.2.MIME]", section(&[1, 2], SectionText::Mime, None));
    check_section("BODY[HEADER]", section(&[], SectionText::Header, None));
    check_section("BODY[3.TEXT]", section(&[3], SectionText::Text, None));
    let names = vec!["From".to_owned(), "X Y".to_owned()];
    check_section(
        "BODY[HEADER.FIELDS (From \"X Y\")]",
        section(&[], SectionText::HeaderFields(names.clone()), None),
    );
    check_section(
        "BODY[1.HEADER.FIELDS.NOT (From \"X Y\")]",
        section(&[1], SectionText::HeaderFieldsNot(names), None),
    );
    check(
        "* 1 FETCH (BODY[2] NIL BINARY[1]<3> NIL RFC822.TEXT NIL BINARY.SIZE[1] 2)\r\n",
        |out| {
            out.fetch(1)
                .section_name(&section(&[2], SectionText::All, None));
            out.raw(b"NIL");
            out.fetch_again().binary_name(&[1], Some((3, 9)));
            out.raw(b"NIL");
            out.fetch_again().rfc822_name("RFC822.TEXT");
            out.raw(b"NIL");
            out.fetch_again().binary_size(&[1], 2).end();
        },
    );
}

#[test]
fn structures_of_parsed_messages() {
    let message = "Date: Wed, 17 Jul 1996 02:23:25 -0700\r\nFrom: Terry <terry@example.org>\r\n\
        Subject: \"q\"\r\nTo: group: a@b.example;\r\nMessage-Id: <B27397@example.org>\r\n\
        MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\nworld\r\n\
        --x\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n\
        --x\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\
        Content-Disposition: attachment; filename=\"a b.pdf\"\r\nContent-Language: en, de\r\n\r\nAAAA\r\n--x--\r\n";
    let parsed = tern_mime::parse(message.as_bytes());
    let terry = "((\"Terry\" NIL \"terry\" \"example.org\"))";
    check(
        &format!(
            "* 1 FETCH (ENVELOPE (\"Wed, 17 Jul 1996 02:23:25 -0700\" \"\\\"q\\\"\" {terry} {terry} {terry} \
             ((NIL NIL \"group\" NIL)(NIL NIL \"a\" \"b.example\")(NIL NIL NIL NIL)) NIL NIL NIL \
             \"<B27397@example.org>\"))\r\n"
        ),
        |out| out.fetch(1).envelope(&parsed.envelope).end(),
    );
    let inner = "(NIL \"in\" NIL NIL NIL NIL NIL NIL NIL NIL)";
    let text = "(\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 12 1";
    let nested = "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 0";
    let pdf = "(\"application\" \"pdf\" NIL NIL NIL \"base64\" 4";
    check(
        &format!(
            "* 1 FETCH (BODY ({text})(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 {inner} {nested}) 2)\
             {pdf}) \"mixed\"))\r\n"
        ),
        |out| out.fetch(1).body_structure(&parsed.body, false).end(),
    );
    check(
        &format!(
            "* 1 FETCH (BODYSTRUCTURE ({text} NIL NIL NIL NIL)(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 19 \
             {inner} {nested} NIL NIL NIL NIL) 2 NIL NIL NIL NIL)\
             {pdf} NIL (\"attachment\" (\"filename\" \"a b.pdf\")) (\"en\" \"de\") NIL) \
             \"mixed\" (\"boundary\" \"x\") NIL NIL NIL))\r\n"
        ),
        |out| out.fetch(1).body_structure(&parsed.body, true).end(),
    );
}
