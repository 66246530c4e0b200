"""One JMAP client of jmaplib, called by name: a JSON line in, a JSON line out.

Usage: jmaplib_agent.py HOST:PORT LOGIN PASSWORD; SSL_CERT_FILE names the certificate.
Every wait on a socket has a deadline, which is the library's own; for what is pushed the caller has one.
"""

import json
import sys

from jmap.auth import BasicAuth
from jmap.client import JMAPClient
from jmap.core.patch import keyword_patch
from jmap.push import EventSourceClient, Ping

SHOWN = ["id", "blobId", "threadId", "subject", "from", "mailboxIds", "keywords", "bodyValues", "textBody"]


class Agent:
    def __init__(self, host, login, password):
        self.host, self.auth = host, BasicAuth(login, password)
        self.client = self.connect()
        self.account = self.client.session.primary_accounts["urn:ietf:params:jmap:mail"]

    def connect(self):
        return JMAPClient.connect(f"https://{self.host}/.well-known/jmap", auth=self.auth)

    def session(self):
        return {"account": self.account, "username": self.client.session.username}

    def mailboxes(self):
        with self.client.batch() as batch:
            got = batch.mail.mailbox.get(ids=None)
        return [
            {"id": it.id, "name": it.name, "role": it.role, "total": it.total_emails}
            for it in got.result.items
        ]

    def state(self):
        with self.client.batch() as batch:
            got = batch.mail.email.get(ids=[])
        return got.result.state

    def emails(self, ids):
        with self.client.batch() as batch:
            got = batch.mail.email.get(ids=ids, properties=SHOWN, fetchTextBodyValues=True)
        return [shown(it) for it in got.result.items]

    def changes(self, since):
        with self.client.batch() as batch:
            got = batch.mail.email.changes(since_state=since)
        told = got.result
        return {
            "created": list(told.created),
            "updated": list(told.updated),
            "destroyed": list(told.destroyed),
            "newState": told.new_state,
        }

    def create(self, mailbox, sender, to, subject, text):
        email = {
            "mailboxIds": {mailbox: True},
            "keywords": {"$draft": True},
            "from": [{"email": sender}],
            "to": [{"email": to}],
            "subject": subject,
            "bodyValues": {"t": {"value": text}},
            "textBody": [{"partId": "t", "type": "text/plain"}],
        }
        return self.set(create={"new": email}).created_id("new")

    def set(self, **arguments):
        with self.client.batch() as batch:
            done = batch.mail.email.set(**arguments)
        assert not done.result.has_errors, (done.result.creation_errors, done.result.update_errors)
        return done.result

    def keyword(self, id, keyword, on):
        patch = keyword_patch(add=[keyword]) if on else keyword_patch(remove=[keyword])
        self.set(update={id: patch})

    def destroy(self, id):
        self.set(destroy=[id])

    def add(self, mailbox, content):
        blob = self.client.upload(content.encode(), content_type="message/rfc822")
        email = {"blobId": blob.blob_id, "mailboxIds": {mailbox: True}}
        with self.client.batch() as batch:
            done = batch.mail.email.import_(emails={"new": email})
        return done.result.created["new"].id

    def download(self, blob):
        return self.client.download(blob, name="letter.eml", content_type="message/rfc822").decode()

    def search(self, text):
        with self.client.batch() as batch:
            found = batch.mail.email.query(filter={"text": text})
        return list(found.result.ids)

    def find(self, mailbox, sender, text, without):
        lacks = {"operator": "NOT", "conditions": [{"hasKeyword": without}]}
        conditions = [{"inMailbox": mailbox, "from": sender}, {"body": text}, lacks]
        with self.client.batch() as batch:
            found = batch.mail.email.query(
                filter={"operator": "AND", "conditions": conditions},
                sort=[{"property": "receivedAt", "isAscending": False}],
                limit=10,
                calculate_total=True,
            )
        return {"ids": list(found.result.ids), "total": found.result.total}

    def identities(self):
        with self.client.batch() as batch:
            got = batch.submission.identity.get(ids=None)
        return {it.email: it.id for it in got.result.items}

    def submit(self, identity, email, sender, to, seconds, drafts, sent):
        new = {"identityId": identity, "emailId": email}
        if seconds:
            held = {"email": sender, "parameters": {"HOLDFOR": str(seconds)}}
            new["envelope"] = {"mailFrom": held, "rcptTo": [{"email": to}]}
        moved = {f"mailboxIds/{drafts}": None, f"mailboxIds/{sent}": True, "keywords/$draft": None}
        with self.client.batch() as batch:
            done = batch.submission.email_submission.set(
                create={"s": new}, onSuccessUpdateEmail={"#s": moved}
            )
        assert not done.result.has_errors, done.result.creation_errors
        return done.result.created_id("s")

    def undo(self, id, drafts, sent):
        back = {f"mailboxIds/{sent}": None, f"mailboxIds/{drafts}": True, "keywords/$draft": True}
        with self.client.batch() as batch:
            done = batch.submission.email_submission.set(
                update={id: {"undoStatus": "canceled"}}, onSuccessUpdateEmail={id: back}
            )
        if done.result.has_errors:
            raise RuntimeError(done.result.update_errors[id].type)

    def submission(self, id):
        with self.client.batch() as batch:
            got = batch.submission.email_submission.get(ids=[id])
        [found] = got.result.items
        status = found.delivery_status or {}
        delivered = {to: it.delivered for to, it in status.items()}
        return {"undoStatus": found.undo_status, "delivered": delivered}

    def listen(self):
        # The library says nothing of a connection before the first event, which a ping is, too.
        self.events = EventSourceClient(self.connect(), types=("Email",), ping=1).listen()
        next(self.events)

    def heard(self):
        """The state of Email, once another one is pushed."""
        for event in self.events:
            if not isinstance(event, Ping):
                return event.changed[self.account]["Email"]


def shown(email):
    return {
        "id": email.id,
        "blobId": email.blob_id,
        "threadId": email.thread_id,
        "subject": email.subject,
        "from": [it.email for it in email.from_ or []],
        "mailboxIds": sorted(email.mailbox_ids),
        "keywords": sorted(email.keywords),
        "text": "".join(email.body_values[it.part_id].value for it in email.text_body),
    }


def main():
    agent = None
    for line in sys.stdin:
        call = json.loads(line)
        try:
            agent = agent or Agent(*sys.argv[1:4])
            result = {"ok": getattr(agent, call["call"])(*call["args"])}
        except Exception as error:
            result = {"error": f"{error!r}"}
        print(json.dumps(result), flush=True)


main()
