// One JMAP client of jmap-jam, called by name.
// Usage: jmap_jam_agent.mjs HOST:PORT TOKEN; NODE_EXTRA_CA_CERTS names the certificate.

import { answer, draft, load, shown, told } from "./jmap_lines.mjs";

const { JamClient } = await load("jmap-jam");
const [host, bearerToken] = process.argv.slice(2);
const client = new JamClient({ sessionUrl: `https://${host}/.well-known/jmap`, bearerToken });
const accountId = await client.getPrimaryAccount();

// What is asked for by jam's own proxies: one method, and its arguments with the account.
const ask = async (type, verb, args) => (await client.api[type][verb]({ accountId, ...args }))[0];

await answer({
  async session() {
    return { account: accountId, username: (await client.session).username };
  },
  async mailboxes() {
    const { list } = await ask("Mailbox", "get", { ids: null });
    return list.map(({ id, name, role, totalEmails }) => ({ id, name, role, total: totalEmails }));
  },
  async state() {
    return (await ask("Email", "get", { ids: [] })).state;
  },
  async emails(ids) {
    return (await ask("Email", "get", { ids, fetchTextBodyValues: true })).list.map(shown);
  },
  async changes(sinceState) {
    return told(await ask("Email", "changes", { sinceState }));
  },
  // Two calls in one request, the second by reference to the first.
  async news(sinceState) {
    const [{ news }] = await client.requestMany((t) => {
      const changed = t.Email.changes({ accountId, sinceState });
      const news = t.Email.get({ accountId, ids: changed.$ref("/created"), properties: ["subject"] });
      return { changed, news };
    });
    return news.list.map((it) => it.subject);
  },
  async create(mailbox, subject, text) {
    const { created, notCreated } = await ask("Email", "set", { create: { new: draft(mailbox, subject, text) } });
    if (notCreated) throw notCreated;
    return created.new.id;
  },
  async keyword(id, keyword, on) {
    const { notUpdated } = await ask("Email", "set", { update: { [id]: { [`keywords/${keyword}`]: on || null } } });
    if (notUpdated) throw notUpdated;
  },
  async destroy(id) {
    const { notDestroyed } = await ask("Email", "set", { destroy: [id] });
    if (notDestroyed) throw notDestroyed;
  },
  async add(mailbox, content) {
    const { blobId } = await client.uploadBlob(accountId, content);
    const email = { blobId, mailboxIds: { [mailbox]: true } };
    return (await ask("Email", "import", { emails: { new: email } })).created.new.id;
  },
  async download(blobId) {
    const mimeType = "message/rfc822";
    const answer = await client.downloadBlob({ accountId, blobId, mimeType, fileName: "letter.eml" });
    return answer.text();
  },
  async search(text) {
    return (await ask("Email", "query", { filter: { text } })).ids;
  },
});
