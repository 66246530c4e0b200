//! Who exists: domains, accounts, aliases, groups, credentials and second factors, who holds which role, and which mailboxes an address
//! leads to.
//!
//! Reading verbs take a [`tern_store::Read`]: the engine for the newest state, or a snapshot where
//! several answers must fit together. Writing verbs take the engine, or as `…_in` a transaction,
//! for callers that commit something else with the change.
//!
//! Invariants:
//! - An address leads to one thing: an account, an alias or a group. Its domain exists.
//! - An account id is never given twice, whatever becomes of the account.
//! - Expanding an address ends, whatever circles its groups and aliases form, and gives each
//!   account once, with the path that led to it.
//! - No password is stored, only what verifies it; looking for an unknown user takes as long as
//!   refusing a known one.
//! - A code of a second factor is good for one use, and wrong ones are counted durably.
//!
//! Refuses to know mailboxes, and to decide who may change the directory.

pub mod account;
pub mod alias;
mod anew;
pub mod check;
pub mod credential;
pub mod delegate;
pub mod domain;
pub mod error;
pub mod factor;
pub mod grant;
pub mod group;
pub mod identity;
pub mod limits;
pub mod login;
pub mod password;
pub mod principal;
pub mod redirect;
pub mod resolve;
pub mod secrets;
pub mod subscription;
mod tables;
pub mod target;

pub use account::{
    Account, AccountPage, NewAccount, account, account_by_address, addresses_of, begin_removal_in,
    create_account, create_account_in, groups_of, has_account, has_account_in, list_accounts,
    remove_account, update_account, update_account_in,
};
pub use alias::{
    Alias, add_alias_in, alias, list_addresses, remove_alias, remove_alias_in, set_alias,
    set_alias_in,
};
pub use anew::begin_anew;
pub use check::check;
pub use credential::{
    AppPassword, AppSecret, CredentialId, HashedPassword, NewAppPassword, Scope, add_app_password,
    add_app_password_in, list_app_passwords, revoke_app_password, revoke_app_password_in,
    set_password, set_password_in,
};
pub use delegate::{add_delegate_in, delegates, is_delegate, remove_delegate_in};
pub use domain::{
    DomainInfo, DomainSettings, add_domain, add_domain_in, domain, list_domains, remove_domain,
    remove_domain_in, set_domain,
};
pub use error::{DirectoryError, Limit};
pub use factor::{
    CodeRefused, CodeShown, FactorId, FactorKey, FactorKind, FactorStatus, NewTotp, RecoveryCodes,
    confirm_totp_in, enrol_totp_in, factors, remove_factors_in, renew_recovery_codes_in, show_code,
    show_code_in,
};
pub use grant::{
    About, Grant, GrantScope, Granter, Role, grant_role, grant_role_in, grants_of,
    group_addresses_of, list_grants, revoke_role, revoke_role_in, role_changes, role_changes_in,
    roles_over,
};
pub use group::{
    Group, GroupId, MemberPage, add_members, add_members_in, begin_group_removal_in, create_group,
    create_group_in, finish_group_removal, group, group_by_address, groups_being_removed, members,
    remove_group, remove_members, remove_members_in,
};
pub use identity::{Correspondent, Identities, Identity, IdentityDetails, IdentityId};
pub use login::{Login, LoginFailure, login, rehash_password};
pub use password::{PasswordCost, Passwords};
pub use principal::{Principal, PrincipalId, Principals, Seen, Visible};
pub use redirect::{Redirect, set_redirect_in};
pub use resolve::{
    Expansion, LocalRecipient, OutsideRecipient, Resolution, SkipReason, Skipped, Step, resolve,
};
pub use secrets::{Secrets, secrets};
pub use subscription::{
    NewSubscription, Proof, PushKeys, Subscription, SubscriptionChange, SubscriptionId,
    Subscriptions,
};
pub use target::Target;
