//! What one client can take of the pages.

use std::time::Duration;

/// Longest head of a request, in bytes; a longer one is answered 431.
pub(super) const MAX_HEAD: usize = 16 * 1024;
/// Most header fields of a request; more are answered 431.
pub(super) const MAX_FIELDS: usize = 64;
/// Longest form, in bytes; a longer one is answered 413.
pub(super) const MAX_FORM: usize = 48 * 1024;
/// Longest token in a link, in bytes; a longer one is of no link.
pub(super) const MAX_TOKEN: usize = 256;
/// Longest wait for the head of a request, the first or the next; then the connection ends.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection lasts by which nobody has shown a login, whatever it asks for; what it has asked for by
/// then is answered.
pub(super) const STRANGER_TIMEOUT: Duration = Duration::from_secs(120);
/// Longest wait for a form; then it is answered 408.
pub(super) const FORM_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for the body of a JMAP request; then it is answered 408.
pub(super) const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a login that was verified over HTTP is good without being verified again, unless it is revoked.
pub(super) const LOGIN_LIFETIME: Duration = Duration::from_secs(600);
/// Most logins that are remembered.
pub(super) const MAX_LOGINS: usize = 10_000;
/// What is kept of a User-Agent, in bytes.
pub(super) const MAX_USER_AGENT: usize = 200;
/// Octets of an upload that are gathered before they go to the store.
pub(super) const UPLOAD_PIECE: usize = 256 * 1024;
/// Octets of a download that are read at once.
pub(super) const DOWNLOAD_PIECE: u64 = 256 * 1024;
/// Octets of an answer for which no memory is set aside.
pub(super) const ANSWER_FREE: u64 = 64 * 1024;
/// Octets of an answer that are written at once.
pub(super) const ANSWER_PIECE: usize = 64 * 1024;
/// Longest wait of a JMAP request for a thread; then it is answered 503.
pub(super) const POOL_WAIT: Duration = Duration::from_secs(30);
/// Shortest time between pings of an EventSource, in seconds (RFC 8620 7.3: no more than 30).
pub(super) const MIN_PING_SECS: u64 = 10;
/// Longest time between pings of an EventSource, in seconds (RFC 8620 7.3: no less than 300). A client
/// that wants none is sent a comment as often, so that one that is gone is found out.
pub(super) const MAX_PING_SECS: u64 = 900;
/// Event sources and WebSockets of one account at once: far more than devices and tabs need, with those that are
/// gone and not yet missed; further ones are answered 429. What they look at takes turns, as many as they are.
pub(super) const MAX_LISTENERS: u32 = 10_000;
/// Octets of a WebSocket message for which no memory is set aside: an idle socket holds that much.
pub(super) const MESSAGE_FREE: u64 = 16 * 1024;
/// Octets for which memory is set aside at once while a WebSocket message comes.
pub(super) const MESSAGE_STEP: u64 = 256 * 1024;
/// Octets that are read of a WebSocket at once.
pub(super) const FRAME_BUFFER: usize = 4 * 1024;
/// How long a WebSocket may be quiet before it is pinged, and again before it is given up.
pub(super) const SOCKET_QUIET: Duration = Duration::from_secs(300);
/// Requests to push services at once: each may hold a thread of the blocking pool for a moment.
pub(super) const MAX_PUSHES: usize = 32;
/// The same for the subscriptions of one account.
pub(super) const MAX_PUSHES_OF_ACCOUNT: usize = 4;
/// Shortest time between two messages to a push subscription.
pub(super) const PUSH_PACE: Duration = Duration::from_secs(1);
/// The same for one whose service has said that it is too often (429), the first time; each further time
/// it is doubled, and each message that is taken halves it.
pub(super) const PUSH_PACE_AFTER_429: Duration = Duration::from_secs(60);
/// The longest that it becomes.
pub(super) const MAX_PUSH_PACE: Duration = Duration::from_secs(3_600);
/// How long a push that failed waits for the next attempt, where the service does not say; each further
/// failure doubles it.
pub(super) const PUSH_WAIT: Duration = Duration::from_secs(10);
/// The longest that it becomes, whatever the service says.
pub(super) const MAX_PUSH_WAIT: Duration = Duration::from_secs(3_600);
/// How long pushes under way have to end when the server stops.
pub(super) const PUSH_DRAIN: Duration = Duration::from_secs(2);
/// Attempts to send a push subscription its code; then it is given up.
pub(super) const MAX_VERIFICATIONS: u32 = 5;
/// Longest wait for the other end of a WebSocket to hear why it ends.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
