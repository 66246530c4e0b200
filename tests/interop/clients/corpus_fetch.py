"""Fetches a whole mailbox by imapclient and holds it against the files that were delivered.

Usage: corpus_fetch.py PORT CERTIFICATE LOGIN PASSWORD FILE... The files stand in the order of
delivery. Every message must be the file byte for byte behind the header fields that the server
adds in front; ENVELOPE and BODYSTRUCTURE must be parsed by the library. Prints one JSON object.
"""

import json
import re
import ssl
import sys

import imapclient


def as_delivered(content):
    """CRLF, ended, and without the Return-Path that final delivery replaces (RFC 5321 4.4)."""
    content = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    end = content.find(b"\r\n\r\n")
    end = len(content) if end < 0 else end + 2
    field = rb"(?im)^return-path:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*"
    return re.sub(field, b"", content[:end]) + content[end:]


def main():
    port, certificate, login, password, files = (*sys.argv[1:5], sys.argv[5:])
    context = ssl.create_default_context(cafile=certificate)
    client = imapclient.IMAPClient("localhost", port=int(port), ssl_context=context, timeout=25)
    client.login(login, password)
    client.select_folder("INBOX")
    uids = sorted(client.search("ALL"))
    wrong = []
    if len(uids) != len(files):
        wrong.append(f"{len(uids)} messages for {len(files)} files")
    for uid, name in zip(uids, files):
        with open(name, "rb") as file:
            expected = as_delivered(file.read())
        items = ["BODY.PEEK[]", "RFC822.SIZE", "ENVELOPE", "BODYSTRUCTURE", "BODY.PEEK[HEADER]"]
        try:
            fetched = client.fetch([uid], items)[uid]
        except Exception as error:
            wrong.append(f"{name}: {error!r}")
            continue
        content = fetched[b"BODY[]"]
        if not content.endswith(expected):
            wrong.append(f"{name}: the content differs")
        added = content[: len(content) - len(expected)]
        if added and not re.fullmatch(rb"(?:[A-Za-z-]+:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*)+", added):
            wrong.append(f"{name}: what is in front is no header: {added!r}")
        if fetched[b"RFC822.SIZE"] != len(content):
            wrong.append(f"{name}: size {fetched[b'RFC822.SIZE']} of {len(content)}")
        if not content.startswith(fetched[b"BODY[HEADER]"]):
            wrong.append(f"{name}: BODY[HEADER] is not the beginning")
        if fetched.get(b"ENVELOPE") is None or not fetched.get(b"BODYSTRUCTURE"):
            wrong.append(f"{name}: no ENVELOPE or no BODYSTRUCTURE")
    print(json.dumps({"messages": len(uids), "wrong": wrong}))
    client.logout()


main()
