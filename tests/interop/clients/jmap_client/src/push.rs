//! What is pushed: by an event source, and by a WebSocket, on which requests are answered, too.
//!
//! The types are named: the crate knows a closed list of them, and reads no change that has another.

use std::pin::Pin;

use futures_util::{Stream, StreamExt as _};
use jmap_client::client::Client;
use jmap_client::client_ws::WebSocketMessage;
use jmap_client::event_source::PushNotification;
use jmap_client::{DataType, PushObject};
use serde_json::{Value, json};

use crate::{Outcome, request};

type Told<'a, T> = Pin<Box<dyn Stream<Item = jmap_client::Result<T>> + 'a>>;

/// What a client listens to.
#[derive(Default)]
pub(crate) struct Listening<'a> {
    events: Option<Told<'a, PushNotification>>,
    socket: Option<Told<'a, WebSocketMessage>>,
}

impl<'a> Listening<'a> {
    /// Opens the event source.
    pub(crate) async fn open(&mut self, client: &'a Client) -> Outcome {
        let types = [DataType::Email, DataType::Mailbox];
        let stream = client.event_source(Some(types), false, Some(30), None);
        self.events = Some(Box::pin(stream.await?));
        Ok(Value::Null)
    }

    /// The state of Email, once another one is pushed.
    pub(crate) async fn heard(&mut self, client: &Client) -> Outcome {
        let events = self.events.as_mut().ok_or("nothing is open")?;
        while let Some(event) = events.next().await {
            let PushNotification::StateChange(changes) = event? else {
                continue;
            };
            let mut all = changes.changes(client.default_account_id());
            let email = all.as_mut().and_then(|all| all.find(|it| *it.0 == DataType::Email));
            if let Some((_, state)) = email {
                return Ok(json!(state));
            }
        }
        Err("the event source has ended".into())
    }

    /// Opens the WebSocket with push, and asks for the state of Email there: it is answered once push is on.
    pub(crate) async fn open_socket(&mut self, client: &'a Client) -> Outcome {
        let mut socket: Told<'a, WebSocketMessage> = Box::pin(client.connect_ws().await?);
        client
            .enable_push_ws(Some([DataType::Email, DataType::Mailbox]), None::<String>)
            .await?;
        let mut asked = request(client);
        asked.get_email().ids(Vec::<String>::new());
        let id = client.send_ws(asked).await?;
        while let Some(message) = socket.next().await {
            if let WebSocketMessage::Response(response) = message? {
                if response.request_id() != Some(&id) {
                    return Err("another request was answered".into());
                }
                let answered = response.unwrap_method_responses().pop();
                let got = answered.ok_or("no method was answered")?.unwrap_get_email()?;
                self.socket = Some(socket);
                return Ok(got.state().into());
            }
        }
        Err("the WebSocket has ended".into())
    }

    /// The state of Email, once another one is pushed there.
    pub(crate) async fn heard_socket(&mut self, client: &Client) -> Outcome {
        let socket = self.socket.as_mut().ok_or("nothing is open")?;
        while let Some(message) = socket.next().await {
            let WebSocketMessage::PushNotification(PushObject::StateChange { changed }) = message?
            else {
                continue;
            };
            let all = changed.get(client.default_account_id());
            if let Some(state) = all.and_then(|all| all.get(&DataType::Email)) {
                return Ok(json!(state));
            }
        }
        Err("the WebSocket has ended".into())
    }
}
