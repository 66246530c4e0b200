"""One imapclient session, called by name: a JSON line in, a JSON line out.

Usage: imap_agent.py PORT CERTIFICATE. Bytes travel as Latin-1 text; keys of answers are text.
Every wait on the socket has a deadline.
"""

import datetime
import json
import ssl
import sys

import imapclient

DEADLINE_SECONDS = 25


def plain(value):
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, dict):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    return str(value)


def connect(port, certificate):
    context = ssl.create_default_context(cafile=certificate)
    client = imapclient.IMAPClient(
        "localhost", port=port, ssl=True, ssl_context=context, timeout=DEADLINE_SECONDS
    )
    # INTERNALDATE with its own offset, not in this machine's zone.
    client.normalise_times = False
    return client


def answer(client, call):
    method, arguments = call["call"], call["args"]
    if method == "append":
        # folder, content as Latin-1, flags, date as ISO 8601 or nothing
        folder, content, flags, date = (arguments + [[], None])[:4] if len(arguments) < 4 else arguments
        when = datetime.datetime.fromisoformat(date) if date else None
        return client.append(folder, content.encode("latin-1"), flags, when)
    if method == "welcome":
        return client.welcome
    if method == "raw":
        # a command with its arguments, sent as one line
        return client._imap.xatom(*arguments)
    return getattr(client, method)(*arguments)


def main():
    try:
        client = connect(int(sys.argv[1]), sys.argv[2])
        print(json.dumps({"ok": plain(client.welcome)}), flush=True)
    except Exception as error:
        print(json.dumps({"error": repr(error)}), flush=True)
        return
    for line in sys.stdin:
        try:
            result = {"ok": plain(answer(client, json.loads(line)))}
        except Exception as error:
            result = {"error": repr(error)}
        print(json.dumps(result), flush=True)


main()
