"""One JMAP client of jmapc, called by name: a JSON line in, a JSON line out.

Usage: jmapc_agent.py HOST:PORT LOGIN PASSWORD; REQUESTS_CA_BUNDLE names the certificate.
Every wait on a socket has a deadline, which is the library's own; for what is pushed the caller has one.
"""

import json
import sys
import tempfile
from pathlib import Path

import jmapc
from jmapc import methods as m
from jmapc.models import (
    Address,
    Comparator,
    Email,
    EmailAddress,
    EmailBodyPart,
    EmailBodyValue,
    EmailQueryFilterCondition,
    EmailQueryFilterOperator,
    EmailSubmission,
    Envelope,
    Operator,
)

RECALL = {"urn:ietf:params:jmap:core", "urn:tern:jmap:recall"}


class Agent:
    def __init__(self, host, login, password):
        self.login = (host, login, password)
        self.client = jmapc.Client.create_with_password(host, login, password)

    def call(self, method):
        return self.client.request(method, raise_errors=True, single_response=True)

    def custom(self, name, using, arguments):
        method = m.CustomMethod(data={"accountId": self.client.account_id, **arguments})
        method.jmap_method = name
        method.using = using
        return self.call(method).data

    def session(self):
        session = self.client.jmap_session
        return {"account": self.client.account_id, "username": session.username}

    def mailboxes(self):
        return [
            {"id": it.id, "name": it.name, "role": it.role, "total": it.total_emails}
            for it in self.call(m.MailboxGet(ids=None)).data
        ]

    def state(self):
        return self.call(m.EmailGet(ids=[])).state

    def emails(self, ids):
        answer = self.call(m.EmailGet(ids=ids, fetch_text_body_values=True))
        return [shown(it) for it in answer.data]

    def changes(self, since):
        answer = self.call(m.EmailChanges(since_state=since))
        return {
            "created": answer.created,
            "updated": answer.updated,
            "destroyed": answer.destroyed,
            "newState": answer.new_state,
        }

    def create(self, mailbox, sender, to, subject, text):
        email = Email(
            mailbox_ids={mailbox: True},
            keywords={"$draft": True},
            mail_from=[EmailAddress(email=sender)],
            to=[EmailAddress(email=to)],
            subject=subject,
            body_values={"t": EmailBodyValue(value=text)},
            text_body=[EmailBodyPart(part_id="t", type="text/plain")],
        )
        answer = self.call(m.EmailSet(create={"new": email}))
        assert not answer.not_created, answer.not_created
        return answer.created["new"].id

    def keyword(self, id, keyword, on):
        patch = {f"keywords/{keyword}": True if on else None}
        answer = self.call(m.EmailSet(update={id: patch}))
        assert not answer.not_updated, answer.not_updated

    def destroy(self, id):
        answer = self.call(m.EmailSet(destroy=[id]))
        assert answer.destroyed == [id], answer.not_destroyed

    def add(self, mailbox, content):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "letter.eml"
            file.write_bytes(content.encode())
            blob = self.client.upload_blob(file)
        email = {"blobId": blob.id, "mailboxIds": {mailbox: True}}
        using = {"urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"}
        answer = self.custom("Email/import", using, {"emails": {"new": email}})
        return answer["created"]["new"]["id"]

    def download(self, blob):
        part = EmailBodyPart(blob_id=blob, name="letter.eml", type="message/rfc822")
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "letter.eml"
            self.client.download_attachment(part, file)
            return file.read_text()

    def search(self, text):
        condition = EmailQueryFilterCondition(text=text)
        return self.call(m.EmailQuery(filter=condition)).ids

    def find(self, mailbox, sender, text, without):
        where = EmailQueryFilterCondition(in_mailbox=mailbox, mail_from=sender)
        what = EmailQueryFilterCondition(body=text)
        lacks = EmailQueryFilterCondition(has_keyword=without)
        conditions = [where, what, EmailQueryFilterOperator(Operator.NOT, [lacks])]
        both = EmailQueryFilterOperator(Operator.AND, conditions)
        newest = Comparator(property="receivedAt", is_ascending=False)
        query = m.EmailQuery(filter=both, sort=[newest], limit=10, calculate_total=True)
        answer = self.call(query)
        return {"ids": answer.ids, "total": answer.total}

    def identities(self):
        return {it.email: it.id for it in self.call(m.IdentityGet()).data}

    def submit(self, identity, email, sender, to, seconds, drafts, sent):
        envelope = None
        if seconds:
            held = Address(email=sender, parameters={"HOLDFOR": str(seconds)})
            envelope = Envelope(mail_from=held, rcpt_to=[Address(email=to)])
        new = EmailSubmission(identity_id=identity, email_id=email, envelope=envelope)
        moved = {f"mailboxIds/{drafts}": None, f"mailboxIds/{sent}": True, "keywords/$draft": None}
        answer = self.both(m.EmailSubmissionSet(create={"s": new}, on_success_update_email={"#s": moved}))
        assert not answer.not_created, answer.not_created
        return answer.created["s"].id

    def undo(self, id, drafts, sent):
        update = {id: {"undoStatus": "canceled"}}
        back = {f"mailboxIds/{sent}": None, f"mailboxIds/{drafts}": True, "keywords/$draft": True}
        answer = self.both(m.EmailSubmissionSet(update=update, on_success_update_email={id: back}))
        if answer.not_updated:
            raise RuntimeError(answer.not_updated[id].type)

    def both(self, method):
        """The answer to a method that is followed by another in its own response (RFC 8621 7.5)."""
        answers = self.client.request(method, raise_errors=True)
        return answers[0] if isinstance(answers, list) else answers

    def submission(self, id):
        [found] = self.call(m.EmailSubmissionGet(ids=[id])).data
        status = found.delivery_status or {}
        delivered = {to: it.delivered.value for to, it in status.items()}
        return {"undoStatus": found.undo_status.value, "delivered": delivered}

    def listen(self):
        # Whoever comes back with an id that was never given out is told at once how everything stands,
        # and listens from then on: the library says nothing of a connection before the first event.
        client = jmapc.Client.create_with_password(*self.login, last_event_id="never")
        self.events = client.events
        next(self.events)

    def heard(self):
        """The state of Email, once another one is pushed."""
        while True:
            state = next(self.events).data.changed[self.client.account_id]
            if state.email:
                return state.email

    def recall(self, verb, arguments):
        return self.custom(f"Recall/{verb}", RECALL, arguments)


def shown(email):
    return {
        "id": email.id,
        "blobId": email.blob_id,
        "threadId": email.thread_id,
        "subject": email.subject,
        "from": [it.email for it in email.mail_from or []],
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
            result = {"error": f"{error!r} {getattr(error, 'result', '')}"}
        print(json.dumps(result), flush=True)


main()
