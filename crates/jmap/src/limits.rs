//! What a client can ask for at once. What RFC 8620 2 has a name for is told in the session.

/// `maxSizeUpload`: octets of one upload.
pub const MAX_SIZE_UPLOAD: u64 = 64 << 20;
/// `maxConcurrentUpload`: uploads of one account at once.
pub const MAX_CONCURRENT_UPLOAD: u32 = 4;
/// `maxSizeRequest`: octets of one request.
pub const MAX_SIZE_REQUEST: u64 = 10 << 20;
/// `maxConcurrentRequests`: requests of one account at once.
pub const MAX_CONCURRENT_REQUESTS: u32 = 8;
/// `maxCallsInRequest`: method calls of one request.
pub const MAX_CALLS_IN_REQUEST: usize = 64;
/// `maxObjectsInGet`: objects of one `/get`.
pub const MAX_OBJECTS_IN_GET: usize = 1_000;
/// `maxObjectsInSet`: objects of one `/set`.
pub const MAX_OBJECTS_IN_SET: usize = 1_000;
/// `maxMailboxesPerEmail`
pub const MAX_MAILBOXES_PER_EMAIL: usize = tern_mailbox::limits::MAX_PLACEMENTS;
/// `maxMailboxDepth`
pub const MAX_MAILBOX_DEPTH: usize = tern_mailbox::limits::MAX_MAILBOX_DEPTH;
/// `maxSizeMailboxName`: octets.
pub const MAX_SIZE_MAILBOX_NAME: usize = tern_mailbox::limits::MAX_MAILBOX_NAME;
/// `maxSizeAttachmentsPerEmail`: octets.
pub const MAX_SIZE_ATTACHMENTS: u64 = 50 << 20;

/// Deepest nesting of a request's JSON; beyond it the request is not read.
pub const MAX_DEPTH: usize = 64;
/// Most values of a request's JSON, inner ones included; beyond it the request is not read (`notRequest`:
/// RFC 8620 3.6.1 has `limit` for what the session names). A value takes up to some hundred octets of
/// memory, however short it is, which are set aside as they are read.
pub const MAX_VALUES: usize = 250_000;
/// Most created ids that a request may bring along and that it may make.
pub const MAX_CREATED_IDS: usize = 10_000;
/// Most octets of memory that the result references of one request may bring.
pub const MAX_REFERENCED: usize = 32 << 20;
/// Most changes of an account that one `/changes` reads: what RFC 8620 5.2 leaves to the server where
/// `maxChanges` is absent or larger.
pub const MAX_CHANGES: usize = 20_000;
/// Octets of memory for all responses to one request together, as values and as JSON: calls behind that
/// answer `requestTooLarge`.
pub const MAX_ANSWER: usize = 128 << 20;
/// Octets of memory that the values of every request may have, however little the server has left.
pub const REQUEST_FREE: usize = 256 << 10;
/// Octets of memory that every answer may have, however little the server has left.
pub const ANSWER_FREE: usize = 256 << 10;
/// Octets that are set aside at most for content that is held whole: of the largest upload less than an account
/// has by default, so that it can be worked on beside the request that asks for it.
pub const MAX_HOLD: u64 = 48 << 20;
/// Octets of memory beyond that which are set aside at once.
pub const ANSWER_STEP: usize = 1 << 20;
/// Octets that one call of `Blob/get` tells of one blob.
pub const MAX_BLOB_TOLD: u64 = 64 << 20;
/// `maxSizeBlobSet`: octets of one blob that is made within a request.
pub const MAX_SIZE_BLOB_SET: u64 = 8 << 20;
/// `maxDataSources`: texts and parts of other blobs that one is made of.
pub const MAX_DATA_SOURCES: usize = 64;
/// Deepest nesting of the parts of a message that a client composes.
pub const MAX_PART_DEPTH: usize = 16;
/// Deepest nesting of a filter.
pub const MAX_FILTER_DEPTH: usize = 16;
/// Most conditions of a filter.
pub const MAX_FILTER_CONDITIONS: usize = 256;
/// Most comparators of an order.
pub const MAX_COMPARATORS: usize = 16;
/// Most ids that one `/query` tells: what RFC 8620 5.5 calls the limit of the server.
pub const MAX_QUERY_RESULTS: usize = 50_000;
/// Octets of content that one request reads, parses, decodes and looks through: searches behind that
/// answer `unsupportedFilter`, other calls `requestTooLarge`, and objects of a set `rateLimit`.
pub const MAX_WORK: u64 = 1 << 30;
/// Octets of what a list shows of a message that count as one of [`MAX_WORK`]: they are in memory, and
/// as they are looked through.
pub const SHOWN_PER_WORK: u64 = 8;
/// Octets of [`MAX_WORK`] that it takes to ask one message for one word or condition, where nothing is read.
pub const WORK_PER_LOOK: u64 = 8;
/// Octets of [`MAX_WORK`] that it takes to read of one message what a list shows of it.
pub const WORK_PER_OUTLINE: u64 = 64;
/// Octets of [`MAX_WORK`] that it takes to find out what a recall would come to, and for each outcome more.
pub const WORK_PER_PLAN: u64 = 256 << 10;
/// Octets of [`MAX_WORK`] that an outcome of a recall takes, which is of a copy.
pub const WORK_PER_OUTCOME: u64 = 4 << 10;
/// Octets of [`MAX_WORK`] that a request for a recall takes which is refused: how much was looked at for it grows with
/// a message that is perhaps not the caller's, and is not to be told.
pub const WORK_PER_REFUSED: u64 = 32 << 20;
/// Octets of [`MAX_WORK`] that a blob which is made within a request takes beside its own.
pub const WORK_PER_UPLOAD: u64 = 64 << 10;
/// Octets that the searches of one request read and look through beside [`MAX_WORK`], which is left to the calls
/// that read what was found: three for each octet of a text that is looked through for the first time.
pub const MAX_SEARCH_WORK: u64 = 2 << 30;
/// Most keywords by which one query tells Threads apart.
pub const MAX_THREAD_KEYWORDS: usize = 16;
/// As how many looks it counts to ask of a message what keywords its Thread has.
pub const LOOKS_PER_THREAD: usize = 4;
/// Octets of [`MAX_WORK`] that a piece of a stored message takes beside those that are wanted of it.
pub const WORK_PER_READ: u64 = 4 << 10;
/// Octets of decoded text of one message that are searched; text behind them is not found.
pub const MAX_SEARCHED_TEXT: usize = tern_mailbox::limits::MAX_SEARCHED_TEXT;
/// Texts that are read rather than all words of an account that outlasted a restart.
pub const FEW_TEXTS: usize = 256;
/// Most words and phrases of one text to look for.
pub const MAX_WORDS: usize = 64;
/// Most words and phrases of a whole filter.
pub const MAX_FILTER_WORDS: usize = 512;
/// Octets of a SearchSnippet's preview (RFC 8621 5).
pub const MAX_SNIPPET: usize = 255;
/// Messages whose rows are read together.
pub const MESSAGES_PER_READ: usize = 64;
/// Most messages whose rows are read before it is known whether they are enough.
pub const MAX_MESSAGES_PER_STEP: usize = 4_096;
/// How often a record of what is served is tried again without messages that were sealed meanwhile.
pub const RECORD_ATTEMPTS: usize = 8;
/// Most types that a listener names.
pub const MAX_PUSH_TYPES: usize = 64;
/// Accounts of others whose changes one listener is told of: those that came first.
pub const MAX_PUSH_ACCOUNTS: usize = 50;
/// Octets of the name of a type that a listener names.
pub const MAX_PUSH_TYPE_NAME: usize = 64;
/// Octets of the URL of a push subscription.
pub const MAX_PUSH_URL: usize = 2_048;
/// Octets of the `deviceClientId` of a push subscription.
pub const MAX_DEVICE_ID: usize = 255;
/// Recipients, and copies, of whom one Recall tells one by one.
pub const MAX_REPORTED: usize = 1_000;
/// Longest `requestId` of a recall, in octets.
pub const MAX_REQUEST_ID: usize = 255;
/// Octets of one field of a disposition notification that a client says.
pub const MAX_MDN_FIELD: usize = 900;
/// Most extension fields of a disposition notification.
pub const MAX_MDN_EXTENSIONS: usize = 32;
/// Octets of the text of a disposition notification.
pub const MAX_MDN_TEXT: usize = 64 << 10;
/// Most properties of Emails, or of their parts, that are asked for: one header field has many names.
pub const MAX_PROPERTIES: usize = 256;
/// Octets of a line of a message that is made here (RFC 5322 2.1.1).
pub const MAX_LINE: usize = 998;
/// How often changes of mailboxes that wait for others of the same call are tried again.
pub const SETTLING_PASSES: usize = 4;
