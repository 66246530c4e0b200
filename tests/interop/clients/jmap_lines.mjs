// What the JavaScript agents share: a JSON line in, a JSON line out, and packages by the folder
// that TERN_TEST_NODE names.

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

export async function load(name) {
  const require = createRequire(`${process.env.TERN_TEST_NODE}/package.json`);
  return import(pathToFileURL(require.resolve(name)));
}

export async function answer(agent) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { call, args } = JSON.parse(line);
    let result;
    try {
      result = { ok: (await agent[call](...args)) ?? null };
    } catch (error) {
      const said = error instanceof Error ? `${error} ${said_of(error.cause)}` : JSON.stringify(error);
      result = { error: said };
    }
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
}

const said_of = (cause) => (cause instanceof Error ? `${cause}` : JSON.stringify(cause ?? ""));

export function shown(email) {
  return {
    id: email.id,
    blobId: email.blobId,
    threadId: email.threadId,
    subject: email.subject,
    from: (email.from ?? []).map((it) => it.email),
    mailboxIds: Object.keys(email.mailboxIds).sort(),
    keywords: Object.keys(email.keywords).sort(),
    text: email.textBody.map((it) => email.bodyValues[it.partId].value).join(""),
  };
}

export function draft(mailbox, from, to, subject, text) {
  return {
    mailboxIds: { [mailbox]: true },
    keywords: { $draft: true },
    from: [{ name: null, email: from }],
    to: [{ name: null, email: to }],
    subject,
    bodyValues: { t: { value: text } },
    textBody: [{ partId: "t", type: "text/plain" }],
  };
}

export const told = ({ created, updated, destroyed, newState }) => ({ created, updated, destroyed, newState });

// The arguments of the search for what is in a mailbox, from somebody, has a text and lacks a keyword.
export const searched = (inMailbox, from, body, hasKeyword) => ({
  filter: {
    operator: "AND",
    conditions: [{ inMailbox, from }, { body }, { operator: "NOT", conditions: [{ hasKeyword }] }],
  },
  sort: [{ property: "receivedAt", isAscending: false }],
  limit: 10,
  calculateTotal: true,
});

// The arguments by which a draft is sent, now or later, and goes from one mailbox to another.
export function sending(identityId, emailId, from, to, seconds, drafts, sent) {
  const held = { mailFrom: { email: from, parameters: { HOLDFOR: `${seconds}` } }, rcptTo: [{ email: to }] };
  const moved = { [`mailboxIds/${drafts}`]: null, [`mailboxIds/${sent}`]: true, "keywords/$draft": null };
  return {
    create: { s: { identityId, emailId, envelope: seconds ? held : null } },
    onSuccessUpdateEmail: { "#s": moved },
  };
}

// The arguments by which that is undone.
export function undoing(id, drafts, sent) {
  const back = { [`mailboxIds/${sent}`]: null, [`mailboxIds/${drafts}`]: true, "keywords/$draft": true };
  return { update: { [id]: { undoStatus: "canceled" } }, onSuccessUpdateEmail: { [id]: back } };
}

export function stands({ undoStatus, deliveryStatus }) {
  const each = Object.entries(deliveryStatus ?? {});
  return { undoStatus, delivered: Object.fromEntries(each.map(([to, it]) => [to, it.delivered])) };
}
