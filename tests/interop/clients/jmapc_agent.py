"""One JMAP client of jmapc, called by name: a JSON line in, a JSON line out.

Usage: jmapc_agent.py HOST:PORT LOGIN PASSWORD; REQUESTS_CA_BUNDLE names the certificate.
Every wait on a socket has a deadline, which is the library's own.
"""

import json
import sys
import tempfile
from pathlib import Path

import jmapc
from jmapc import methods as m
from jmapc.models import Email, EmailBodyPart, EmailBodyValue, EmailQueryFilterCondition


class Agent:
    def __init__(self, host, login, password):
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

    def create(self, mailbox, subject, text):
        email = Email(
            mailbox_ids={mailbox: True},
            keywords={"$draft": True},
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
