// One JMAP client of jmap-client-ts, called by name. It has neither uploads nor downloads, and nothing that
// listens; identities are asked for by the function that its own methods go through.
// Usage: jmap_client_ts_agent.mjs HOST:PORT TOKEN; NODE_EXTRA_CA_CERTS names the certificate.

import { answer, draft, load, searched, sending, shown, stands, told, undoing } from "./jmap_lines.mjs";

const { Client } = (await load("jmap-client-ts")).default;
const { FetchTransport } = (await load("jmap-client-ts/lib/utils/fetch-transport.js")).default;
const [host, accessToken] = process.argv.slice(2);
const transport = new FetchTransport(fetch);
// What it sends says nothing of its type.
const httpHeaders = { "Content-Type": "application/json" };
const client = new Client({ sessionUrl: `https://${host}/.well-known/jmap`, accessToken, transport, httpHeaders });
await client.fetchSession();

const accountId = client.getFirstAccountId();

await answer({
  session: () => ({ account: accountId, username: client.getSession().username }),
  async mailboxes() {
    const { list } = await client.mailbox_get({ accountId, ids: null });
    return list.map(({ id, name, role, totalEmails }) => ({ id, name, role, total: totalEmails }));
  },
  async state() {
    return (await client.email_get({ accountId, ids: [] })).state;
  },
  async emails(ids) {
    return (await client.email_get({ accountId, ids, fetchTextBodyValues: true })).list.map(shown);
  },
  async changes(sinceState) {
    return told(await client.email_changes({ accountId, sinceState }));
  },
  async create(...words) {
    const create = { new: draft(...words) };
    const { created, notCreated } = await client.email_set({ accountId, create });
    if (notCreated) throw notCreated;
    return created.new.id;
  },
  async keyword(id, keyword, on) {
    const update = { [id]: { [`keywords/${keyword}`]: on || null } };
    const { notUpdated } = await client.email_set({ accountId, update });
    if (notUpdated) throw notUpdated;
  },
  async destroy(id) {
    const { notDestroyed } = await client.email_set({ accountId, destroy: [id] });
    if (notDestroyed) throw notDestroyed;
  },
  async search(text) {
    return (await client.email_query({ accountId, filter: { text } })).ids;
  },
  async find(...words) {
    const { ids, total } = await client.email_query({ accountId, ...searched(...words) });
    return { ids, total };
  },
  async identities() {
    const { list } = await client.request("Identity/get", { accountId, ids: null });
    return Object.fromEntries(list.map((it) => [it.email, it.id]));
  },
  async submit(...words) {
    const { created, notCreated } = await client.emailSubmission_set({ accountId, ...sending(...words) });
    if (notCreated) throw notCreated;
    return created.s.id;
  },
  async undo(id, ...mailboxes) {
    const { notUpdated } = await client.emailSubmission_set({ accountId, ...undoing(id, ...mailboxes) });
    if (notUpdated) throw notUpdated;
  },
  async submission(id) {
    return stands((await client.emailSubmission_get({ accountId, ids: [id] })).list[0]);
  },
});
