// One JMAP client of jmap-jam, called by name.
// Usage: jmap_jam_agent.mjs HOST:PORT TOKEN [ACCOUNT]; NODE_EXTRA_CA_CERTS names the certificate. With the
// name of an account it works there, and else in its user's own.

import { answer, draft, load, searched, sending, shown, stands, told, undoing } from "./jmap_lines.mjs";

const { JamClient } = await load("jmap-jam");
const [host, bearerToken, account] = process.argv.slice(2);
const sessionUrl = `https://${host}/.well-known/jmap`;
const customCapabilities = {
  Recall: "urn:tern:jmap:recall",
  Principal: "urn:ietf:params:jmap:principals",
  ShareNotification: "urn:ietf:params:jmap:principals",
};
const client = new JamClient({ sessionUrl, bearerToken, customCapabilities });
// Each account that is there, by its name.
const accounts = Object.entries((await client.session).accounts).map(([id, { name }]) => [name, id]);
const accountId = account ? Object.fromEntries(accounts)[account] : await client.getPrimaryAccount();

let source;
const states = [];

// What is asked for by jam's own proxies: one method, and its arguments with the account.
const ask = async (type, verb, args) => (await client.api[type][verb]({ accountId, ...args }))[0];

await answer({
  async session() {
    return { account: accountId, username: (await client.session).username, accounts: accounts.map(([name]) => name) };
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
  async create(...words) {
    const { created, notCreated } = await ask("Email", "set", { create: { new: draft(...words) } });
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
  async find(...words) {
    const { ids, total } = await ask("Email", "query", searched(...words));
    return { ids, total };
  },
  async identities() {
    const { list } = await ask("Identity", "get", { ids: null });
    return Object.fromEntries(list.map((it) => [it.email, it.id]));
  },
  async submit(...words) {
    const { created, notCreated } = await ask("EmailSubmission", "set", sending(...words));
    if (notCreated) throw notCreated;
    return created.s.id;
  },
  async undo(id, ...mailboxes) {
    const { notUpdated } = await ask("EmailSubmission", "set", undoing(id, ...mailboxes));
    if (notUpdated) throw notUpdated;
  },
  async submission(id) {
    return stands((await ask("EmailSubmission", "get", { ids: [id] })).list[0]);
  },
  // Jam opens whatever `EventSource` is there, without a login: that is for browsers with a cookie. This
  // one shows the token, as an application outside a browser does.
  async listen() {
    const { EventSource } = await load("eventsource");
    const withLogin = (url, init) => {
      const headers = { ...init.headers, Authorization: client.authHeader };
      return fetch(url, { ...init, headers });
    };
    globalThis.EventSource = class extends EventSource {
      constructor(url) {
        super(url, { fetch: withLogin });
      }
    };
    source = await client.connectEventSource({ types: ["Email", "Recall"], ping: 30 });
    source.addEventListener("state", ({ data }) => states.push(JSON.parse(data).changed[accountId]));
    await new Promise((opened, failed) => {
      source.addEventListener("open", opened);
      source.addEventListener("error", failed);
    });
  },
  // The state of a type, once another one is pushed.
  async heard(type = "Email") {
    for (;;) {
      const found = states.findIndex((it) => it[type]);
      if (found >= 0) {
        const [state] = states.splice(found, 1);
        return state[type];
      }
      await new Promise((come) => source.addEventListener("state", come, { once: true }));
    }
  },
  recall(verb, args) {
    return ask("Recall", verb, args);
  },
  // Everybody whose name or address has a word in it.
  async principals(text) {
    const { ids } = await ask("Principal", "query", { filter: { text } });
    return (await ask("Principal", "get", { ids })).list.map(({ id, email }) => ({ id, email }));
  },
  async share(mailbox, principal, rights) {
    const using = ["urn:ietf:params:jmap:mail:share"];
    const update = { [mailbox]: { [`shareWith/${principal}`]: rights } };
    const [{ notUpdated }] = await client.request(["Mailbox/set", { accountId, update }], { using });
    if (notUpdated) throw notUpdated;
  },
  async notices() {
    const { list } = await ask("ShareNotification", "get", { ids: null });
    return list.map(({ changedBy, name, newRights }) => ({ by: changedBy.email, name, newRights }));
  },
});
