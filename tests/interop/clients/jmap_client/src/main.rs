//! One JMAP client of the crate `jmap-client`, called by name: a JSON line in, a JSON line out.
//!
//! The crate's shortest calls use every capability that its authors' server has, which another server
//! must refuse (RFC 8620 3.6.1 `unknownCapability`): requests are built here, with those that they need.
//!
//! Usage: `jmap-client-agent HOST:PORT LOGIN PASSWORD [ACCOUNT]`; `SSL_CERT_FILE` names the certificate. With
//! the name of an account it works there, and else in its user's own.

mod push;
mod send;

use std::io::{BufRead as _, Write as _};

use jmap_client::client::Client;
use jmap_client::core::changes::ChangesResponse;
use jmap_client::core::query::{Comparator, Filter as Any, QueryResponse};
use jmap_client::core::request::Request;
use jmap_client::core::response::{EmailGetResponse, EmailSetResponse, MailboxGetResponse};
use jmap_client::core::set::SetObject as _;
use jmap_client::email::import::EmailImportResponse;
use jmap_client::email::query::{Comparator as By, Filter};
use jmap_client::email::{Email, EmailAddress, EmailBodyPart};
use jmap_client::mailbox::Role;
use jmap_client::{Get, URI};
use serde_json::{Value, json};

use push::Listening;

pub(crate) type Outcome = Result<Value, Box<dyn std::error::Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [host, login, password, account @ ..] = &words[..] else {
        return Err("HOST:PORT LOGIN PASSWORD [ACCOUNT]".into());
    };
    let name = host.split(':').next().unwrap_or_default().to_owned();
    let mut client = Client::new()
        .credentials((login.as_str(), password.as_str()))
        .follow_redirects([name])
        .connect(&format!("https://{host}"))
        .await?;
    if let Some(name) = account.first() {
        let session = client.session();
        let is_it = |id: &&String| session.account(id).is_some_and(|it| it.name() == name);
        let id = session.accounts().find(is_it).ok_or("there is no such account")?.clone();
        client.set_default_account_id(id);
    }
    let mut listening = Listening::default();
    for line in std::io::stdin().lock().lines() {
        let call: Value = serde_json::from_str(&line?)?;
        let result = match answer(&client, &mut listening, &call).await {
            Ok(value) => json!({"ok": value}),
            Err(error) => json!({"error": error.to_string()}),
        };
        let mut out = std::io::stdout();
        writeln!(out, "{result}")?;
        out.flush()?;
    }
    Ok(())
}

pub(crate) fn request(client: &Client) -> Request<'_> {
    let mut request = client.build();
    request.using = vec![URI::Core, URI::Mail];
    request
}

async fn answer<'a>(
    client: &'a Client,
    listening: &mut Listening<'a>,
    call: &Value,
) -> Outcome {
    let word = |index: usize| call["args"][index].as_str().unwrap_or_default();
    match call["call"].as_str().unwrap_or_default() {
        "session" => {
            let session = client.session();
            let names = session.accounts().filter_map(|id| Some(session.account(id)?.name()));
            Ok(json!({
                "account": client.default_account_id(), "username": session.username(),
                "accounts": names.collect::<Vec<_>>(),
            }))
        }
        "mailboxes" => mailboxes(client).await,
        "state" => {
            let mut request = request(client);
            request.get_email().ids(Vec::<String>::new());
            let response: EmailGetResponse = request.send_single().await?;
            Ok(response.state().into())
        }
        "emails" => emails(client, &call["args"][0]).await,
        "changes" => {
            let mut request = request(client);
            request.changes_email(word(0));
            let mut told: ChangesResponse<Email<Get>> = request.send_single().await?;
            Ok(json!({
                "created": told.take_created(), "updated": told.take_updated(),
                "destroyed": told.take_destroyed(), "newState": told.take_new_state(),
            }))
        }
        "create" => create(client, &call["args"]).await,
        "keyword" => keyword(client, word(0), word(1), call["args"][2] == true).await,
        "destroy" => {
            let mut request = request(client);
            request.set_email().destroy([word(0)]);
            let mut response: EmailSetResponse = request.send_single().await?;
            response.destroyed(word(0))?;
            Ok(Value::Null)
        }
        "add" => add(client, word(0), word(1)).await,
        "download" => {
            let octets = client.download(word(0)).await?;
            Ok(String::from_utf8(octets)?.into())
        }
        "search" => {
            let mut request = request(client);
            request.query_email().filter(Filter::text(word(0)));
            let mut found: QueryResponse = request.send_single().await?;
            Ok(found.take_ids().into())
        }
        "find" => find(client, &call["args"]).await,
        "identities" => send::identities(client).await,
        "submit" => send::submit(client, &call["args"]).await,
        "undo" => send::undo(client, word(0), word(1)).await,
        "submission" => send::submission(client, word(0)).await,
        "listen" => listening.open(client).await,
        "heard" => listening.heard(client).await,
        "listen by WebSocket" => listening.open_socket(client).await,
        "heard by WebSocket" => listening.heard_socket(client).await,
        other => Err(format!("{other} is not among the calls").into()),
    }
}

async fn mailboxes(client: &Client) -> Outcome {
    let mut request = request(client);
    request.get_mailbox();
    let mut response: MailboxGetResponse = request.send_single().await?;
    let shown = response.take_list().into_iter().map(|it| {
        let role = match it.role() {
            Role::Inbox => json!("inbox"),
            Role::Drafts => json!("drafts"),
            Role::Sent => json!("sent"),
            Role::Trash => json!("trash"),
            Role::Junk => json!("junk"),
            Role::Archive => json!("archive"),
            Role::Important => json!("important"),
            Role::Other(other) => json!(other),
            Role::None => Value::Null,
        };
        json!({"id": it.id(), "name": it.name(), "role": role, "total": it.total_emails()})
    });
    Ok(shown.collect())
}

async fn emails(client: &Client, ids: &Value) -> Outcome {
    let mut request = request(client);
    let get = request.get_email();
    if let Some(ids) = ids.as_array() {
        get.ids(ids.iter().filter_map(Value::as_str));
    }
    get.arguments().fetch_text_body_values(true);
    let mut response: EmailGetResponse = request.send_single().await?;
    Ok(response.take_list().iter().map(shown).collect())
}

fn shown(email: &Email<Get>) -> Value {
    let parts = email.text_body().unwrap_or_default().iter();
    let values = parts.filter_map(|part| email.body_value(part.part_id()?));
    let text: String = values.map(|value| value.value()).collect();
    let (mut boxes, mut keywords) = (email.mailbox_ids(), email.keywords());
    boxes.sort_unstable();
    keywords.sort_unstable();
    let from = email.from().unwrap_or_default().iter();
    let from: Vec<&str> = from.map(|it| it.email()).collect();
    json!({
        "id": email.id(), "blobId": email.blob_id(), "threadId": email.thread_id(),
        "subject": email.subject(), "from": from, "mailboxIds": boxes, "keywords": keywords,
        "text": text,
    })
}

/// Sets the keywords as a whole: what the crate patches to clear one is `false`, where only `null` may
/// be (RFC 8621 4.1.1).
async fn keyword(client: &Client, id: &str, keyword: &str, on: bool) -> Outcome {
    let mut get = request(client);
    get.get_email().ids([id]);
    let response: EmailGetResponse = get.send_single().await?;
    let email = response.list().first().ok_or("no such message")?;
    let mut keywords = email.keywords();
    keywords.retain(|it| *it != keyword);
    keywords.extend(on.then_some(keyword));
    let mut set = request(client);
    set.set_email().update(id).keywords(keywords);
    let mut response: EmailSetResponse = set.send_single().await?;
    response.updated(id)?;
    Ok(Value::Null)
}

async fn add(client: &Client, mailbox: &str, content: &str) -> Outcome {
    let uploaded = client.upload(None, content.as_bytes().to_vec(), None);
    let blob = uploaded.await?.take_blob_id();
    let mut request = request(client);
    let import = request.import_email().email(blob);
    import.mailbox_ids([mailbox]);
    let id = import.create_id();
    let mut response: EmailImportResponse = request.send_single().await?;
    Ok(response.created(&id)?.take_id().into())
}

async fn create(client: &Client, args: &Value) -> Outcome {
    let word = |index: usize| args[index].as_str().unwrap_or_default();
    let (mailbox, from, to, subject, text) = (word(0), word(1), word(2), word(3), word(4));
    let mut request = request(client);
    let email = request.set_email().create();
    email
        .mailbox_ids([mailbox])
        .keywords(["$draft"])
        .from([EmailAddress::from(from)])
        .to([EmailAddress::from(to)])
        .subject(subject)
        .body_value("t".to_owned(), text)
        .text_body(EmailBodyPart::new().part_id("t").content_type("text/plain"));
    let id = email.create_id().unwrap_or_default();
    let mut response: EmailSetResponse = request.send_single().await?;
    Ok(response.created(&id)?.take_id().into())
}

/// What is in a mailbox, from somebody, has a text and lacks a keyword; the newest first.
async fn find(client: &Client, args: &Value) -> Outcome {
    let word = |index: usize| args[index].as_str().unwrap_or_default();
    let mut request = request(client);
    let query = request.query_email();
    query.filter(Any::and([
        Any::from(Filter::in_mailbox(word(0))),
        Any::from(Filter::from(word(1))),
        Any::from(Filter::body(word(2))),
        Any::not([Filter::has_keyword(word(3))]),
    ]));
    query.sort([Comparator::new(By::ReceivedAt).descending()]);
    query.limit(10).calculate_total(true);
    let mut found: QueryResponse = request.send_single().await?;
    Ok(json!({"total": found.total(), "ids": found.take_ids()}))
}
