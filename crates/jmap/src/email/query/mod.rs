//! `Email/query` (RFC 8621 4.4).
//!
//! Invariant: the results are those of one state, told as `queryState`; sealed messages are none of
//! them, whatever is asked. See [`results`] for what a search puts on record.

pub(crate) mod changes;
pub(super) mod marked;
mod order;
pub(in crate::email) mod results;
mod subject;
pub(super) mod test;
pub(super) mod text;
mod threads;

use serde_json::Value;
use tern_session::ids;

use crate::args;
use crate::context::Context;
use crate::error::MethodError;
use crate::standard::query::QueryArgs;

pub(crate) use order::SORT_OPTIONS;
use order::Step;
use results::{Query, Results, Told};
use test::Test;

/// `Email/query`
pub(crate) fn run(cx: &mut Context<'_>, mut args: Value) -> Result<Value, MethodError> {
    let collapse_threads = args::take_flag(&mut args, "collapseThreads")?;
    let mut args: QueryArgs = args::read(args)?;
    let scope = cx.scope(&args.account_id)?;
    let account = scope.account;
    let query = Query {
        test: Test::read(cx, account, args.filter.as_ref())?,
        order: Step::read(args.sort.as_deref())?,
        collapse_threads,
    };
    args.anchor = args.anchor.map(|id| cx.resolved(&id).to_owned());
    let window = |results: &Results| {
        args.window(results.ids.len(), |anchor| {
            let message = ids::parse_email_id(account, anchor)?;
            results.ids.iter().position(|id| *id == message)
        })
    };
    let most = args.most_wanted();
    let results = Results::find(cx, &scope, &query, most, |results| {
        let window = window(results)?;
        Ok(match args.tells_count() {
            true => Told::All,
            // Which results stand before the window shows in which one is the first.
            false => Told::Some(0..window.end),
        })
    })?;
    let window = window(&results)?;
    let told = results.ids.get(window.clone()).unwrap_or_default();
    let told: Vec<String> = told.iter().map(|id| ids::email_id(account, *id)).collect();
    let total = results.ids.len();
    args.response(cx, &results.query_state(&scope), &window, told, total)
}
