"""Python's own imaplib against the server, as plain rev1: every answer must be OK.

Usage: imaplib_battery.py PORT CERTIFICATE LOGIN PASSWORD. Prints "done" at the end; an answer that
is not what it should be raises.
"""

import imaplib
import ssl
import sys
import time

MESSAGE = b"From: a@example.org\r\nSubject: imaplib %d\r\n\r\nBody %d of plain text\r\n"


def ok(answer):
    status, data = answer
    assert status == "OK", answer
    return data


def main():
    port, certificate, login, password = sys.argv[1:5]
    context = ssl.create_default_context(cafile=certificate)
    client = imaplib.IMAP4_SSL("localhost", int(port), ssl_context=context, timeout=25)
    assert "IMAP4REV1" in client.capabilities, client.capabilities
    client.login(login, password)
    ok(client.create("imaplib"))
    ok(client.create("imaplib/below"))
    ok(client.subscribe("imaplib"))
    assert any(b"imaplib/below" in line for line in ok(client.list()))
    assert any(b"imaplib" in line for line in ok(client.lsub()))
    when = imaplib.Time2Internaldate(time.time() - 86400)
    for number in range(20):
        ok(client.append("imaplib", r"(\Seen)" if number % 2 else None, when, MESSAGE % (number, number)))
    assert ok(client.select("imaplib")) == [b"20"]
    assert len(ok(client.search(None, "UNSEEN"))[0].split()) == 10
    assert ok(client.search(None, "SUBJECT", '"imaplib 7"'))[0].split() == [b"8"]
    assert ok(client.search(None, "BODY", '"Body 11 of"'))[0].split() == [b"12"]
    assert len(ok(client.uid("SEARCH", None, "OR", "1:3", "20"))[0].split()) == 4
    data = ok(client.fetch("1:*", "(UID FLAGS INTERNALDATE RFC822.SIZE)"))
    assert len(data) == 20, data
    [(_, header), _] = ok(client.fetch("5", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])"))
    assert header == b"Subject: imaplib 4\r\n\r\n", header
    [(_, part), _] = ok(client.fetch("5", "(BODY.PEEK[TEXT]<5.6>)"))
    assert part == b"4 of p", part
    [(_, whole), *_] = ok(client.fetch("1", "(RFC822)"))
    assert whole.endswith(b"Body 0 of plain text\r\n"), whole
    assert b"\\Seen" in ok(client.fetch("1", "(FLAGS)"))[0]
    ok(client.store("2:4", "+FLAGS", r"(\Deleted $Custom)"))
    assert ok(client.search(None, "KEYWORD", "$Custom"))[0].split() == [b"2", b"3", b"4"]
    ok(client.copy("5:6", "imaplib/below"))
    assert ok(client.expunge()) == [b"2", b"2", b"2"]
    assert b"MESSAGES 2" in ok(client.status("imaplib/below", "(MESSAGES UNSEEN UIDNEXT)"))[0]
    ok(client.rename("imaplib/below", "imaplib/beneath"))
    assert ok(client.select("imaplib/beneath", readonly=True)) == [b"2"]
    assert client.store("1", "+FLAGS", r"(\Deleted)")[0] == "NO"
    assert client.select('"no such folder"')[0] == "NO"
    ok(client.select("imaplib"))
    ok(client.close())
    ok(client.delete("imaplib/beneath"))
    ok(client.noop())
    client.logout()
    print("done")


main()
