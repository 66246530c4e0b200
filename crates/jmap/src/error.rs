//! Method-level errors (RFC 8620 3.6.2) and what went wrong with one object of a `/set` (RFC 8620 5.3).

use serde_json::{Map, Value, json};
use tern_base::Fault;
use tern_directory::DirectoryError;
use tern_mailbox::MailboxError;
use tern_recall::RecallError;
use tern_store::StoreError;

/// Why a method call was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MethodError {
    kind: &'static str,
    description: Option<String>,
}

/// The error types without anything to add.
impl MethodError {
    /// A part of the server is not there for now.
    pub const SERVER_UNAVAILABLE: Self = Self::bare("serverUnavailable");
    /// There is no method of this name, or its capability is not used.
    pub const UNKNOWN_METHOD: Self = Self::bare("unknownMethod");
    /// The caller may not do this.
    pub const FORBIDDEN: Self = Self::bare("forbidden");
    /// There is no such account for the caller.
    pub const ACCOUNT_NOT_FOUND: Self = Self::bare("accountNotFound");
    /// The account is there, and has nothing that the method is about.
    pub const ACCOUNT_NOT_SUPPORTED: Self = Self::bare("accountNotSupportedByMethod");
    /// Nothing of the account can be changed by the caller.
    pub const ACCOUNT_READ_ONLY: Self = Self::bare("accountReadOnly");
    /// RFC 8620 5.4: the account to copy from has nothing that the method is about.
    pub const FROM_ACCOUNT_NOT_SUPPORTED: Self = Self::bare("fromAccountNotSupportedByMethod");
    /// RFC 8620 5.4: the account to copy from is not there.
    pub const FROM_ACCOUNT_NOT_FOUND: Self = Self::bare("fromAccountNotFound");
    /// It goes beyond a limit on objects.
    pub const REQUEST_TOO_LARGE: Self = Self::bare("requestTooLarge");
    /// What changed since that state can't be told.
    pub const CANNOT_CALCULATE_CHANGES: Self = Self::bare("cannotCalculateChanges");
    /// RFC 8620 5.6: more changed than the client wants to hear of.
    pub const TOO_MANY_CHANGES: Self = Self::bare("tooManyChanges");
    /// `ifInState` is not the state.
    pub const STATE_MISMATCH: Self = Self::bare("stateMismatch");
    /// RFC 8620 5.5: the anchor is not among the results.
    pub const ANCHOR_NOT_FOUND: Self = Self::bare("anchorNotFound");

    const fn bare(kind: &'static str) -> Self {
        Self {
            kind,
            description: None,
        }
    }

    fn with(kind: &'static str, description: impl Into<String>) -> Self {
        Self {
            kind,
            description: Some(description.into()),
        }
    }

    /// An argument is missing, superfluous, or not what it should be.
    pub fn invalid_arguments(why: impl Into<String>) -> Self {
        Self::with("invalidArguments", why)
    }

    /// A reference leads to nothing.
    pub fn invalid_result_reference(why: impl Into<String>) -> Self {
        Self::with("invalidResultReference", why)
    }

    /// RFC 8620 5.5: such a filter is not here.
    pub fn unsupported_filter(why: impl Into<String>) -> Self {
        Self::with("unsupportedFilter", why)
    }

    /// RFC 8620 5.5: such an order is not here.
    pub fn unsupported_sort(why: impl Into<String>) -> Self {
        Self::with("unsupportedSort", why)
    }

    /// RFC 9404 4.3: blobs are not looked up in such a type.
    pub fn unknown_data_type(name: &str) -> Self {
        Self::with("unknownDataType", format!("{name:?} is not looked up"))
    }

    /// Something went wrong that is not the client's doing.
    pub fn server_fail(why: impl Into<String>) -> Self {
        Self::with("serverFail", why)
    }

    /// Its type.
    pub const fn kind(&self) -> &'static str {
        self.kind
    }

    /// The arguments of the `error` response.
    pub fn to_json(&self) -> Value {
        let mut all = Map::new();
        all.insert("type".to_owned(), self.kind.into());
        if let Some(description) = &self.description {
            all.insert("description".to_owned(), description.as_str().into());
        }
        Value::Object(all)
    }
}

impl From<StoreError> for MethodError {
    fn from(error: StoreError) -> Self {
        match error.fault() {
            Fault::Temporary => Self::SERVER_UNAVAILABLE,
            _ => Self::server_fail("the store can't be read"),
        }
    }
}

impl From<DirectoryError> for MethodError {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Store(error) => error.into(),
            DirectoryError::NotFound("account") => Self::ACCOUNT_NOT_FOUND,
            other => Self::server_fail(other.to_string()),
        }
    }
}

impl From<MailboxError> for MethodError {
    fn from(error: MailboxError) -> Self {
        match error {
            MailboxError::Store(error) => error.into(),
            MailboxError::NoAccount => Self::ACCOUNT_NOT_FOUND,
            // RFC 8620 5.2
            MailboxError::NoHistory => Self::CANNOT_CALCULATE_CHANGES,
            other => Self::server_fail(other.to_string()),
        }
    }
}

impl From<RecallError> for MethodError {
    fn from(error: RecallError) -> Self {
        match error.fault() {
            Fault::Temporary => Self::SERVER_UNAVAILABLE,
            _ => Self::server_fail("recalls can't be read"),
        }
    }
}

/// What went wrong with one object.
#[derive(Clone, Debug, PartialEq)]
pub struct SetError(Map<String, Value>);

impl SetError {
    /// An error of a type, with a sentence for people.
    pub fn new(kind: &str, description: impl Into<String>) -> Self {
        let mut all = Map::new();
        all.insert("type".to_owned(), kind.into());
        all.insert("description".to_owned(), description.into().into());
        Self(all)
    }

    /// There is no such object.
    pub fn not_found() -> Self {
        let mut all = Map::new();
        all.insert("type".to_owned(), "notFound".into());
        Self(all)
    }

    /// These properties are not what they should be.
    pub fn invalid_properties(names: &[&str], description: impl Into<String>) -> Self {
        Self::new("invalidProperties", description).and("properties", json!(names))
    }

    /// The object is what it was before, and can't be what is asked.
    #[must_use]
    pub fn and(mut self, name: &str, value: Value) -> Self {
        self.0.insert(name.to_owned(), value);
        self
    }

    /// What is told in it under this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// Of two errors, that of no property; of two with properties, one with the properties of both.
    pub(crate) fn with_properties_of(mut self, other: Self) -> Self {
        let Some(Value::Array(others)) = other.0.get("properties") else {
            return match self.kind() {
                "invalidProperties" if other.kind() != "invalidProperties" => other,
                _ => self,
            };
        };
        if let Some(Value::Array(own)) = self.0.get_mut("properties") {
            let new = others.iter().filter(|name| !own.contains(name));
            let new: Vec<Value> = new.cloned().collect();
            own.extend(new);
        }
        self
    }

    /// Whether it is of properties, and of none but these.
    pub(crate) fn is_of_properties(&self, names: &[&str]) -> bool {
        let all = self.0.get("properties").and_then(Value::as_array);
        let is_one = |name: &Value| name.as_str().is_some_and(|name| names.contains(&name));
        self.kind() == "invalidProperties" && all.is_some_and(|all| all.iter().all(is_one))
    }

    /// Its type.
    pub fn kind(&self) -> &str {
        self.0
            .get("type")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// As it stands in `notCreated`, `notUpdated` or `notDestroyed`.
    pub fn into_json(self) -> Value {
        Value::Object(self.0)
    }
}

impl From<MailboxError> for SetError {
    fn from(error: MailboxError) -> Self {
        let text = error.to_string();
        match error {
            MailboxError::QuotaExceeded | MailboxError::KeptQuotaExceeded => {
                Self::new("overQuota", text)
            }
            MailboxError::NoMessage | MailboxError::NoMailbox | MailboxError::Sealed => {
                Self::not_found()
            }
            MailboxError::NotAllowed(_) | MailboxError::NotPermitted => {
                Self::new("forbidden", text)
            }
            // RFC 8621 2.5
            MailboxError::HasChildren => Self::new("mailboxHasChild", text),
            MailboxError::NotEmpty => Self::new("mailboxHasEmail", text),
            MailboxError::RoleTaken => Self::invalid_properties(&["role"], text),
            MailboxError::NoParent => Self::invalid_properties(&["parentId"], text),
            MailboxError::Limit(_) => Self::new("tooLarge", text),
            MailboxError::InvalidName(_) | MailboxError::Exists => {
                Self::invalid_properties(&["name"], text)
            }
            MailboxError::NoAccount | MailboxError::NoHistory | MailboxError::Store(_) => {
                Self::new("serverFail", "the store could not do it")
            }
        }
    }
}
