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

export function draft(mailbox, subject, text) {
  return {
    mailboxIds: { [mailbox]: true },
    keywords: { $draft: true },
    subject,
    bodyValues: { t: { value: text } },
    textBody: [{ partId: "t", type: "text/plain" }],
  };
}

export const told = ({ created, updated, destroyed, newState }) => ({ created, updated, destroyed, newState });
