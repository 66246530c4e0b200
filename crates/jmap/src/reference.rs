//! References to the results of earlier method calls (RFC 8620 3.7).

use serde_json::{Map, Value};

use crate::budget::weight;
use crate::error::MethodError;
use crate::request::Invocation;

/// Puts what is referred to in the place of the references of a call. `take` is asked for the memory of each
/// before it is there: a few of them would double without end otherwise.
pub(crate) fn resolve(
    args: Value,
    before: &[Invocation],
    mut take: impl FnMut(usize) -> Result<(), MethodError>,
) -> Result<Value, MethodError> {
    let Value::Object(args) = args else {
        return Ok(args);
    };
    if !args.keys().any(|name| name.starts_with('#')) {
        return Ok(Value::Object(args));
    }
    let mut out = Map::new();
    for (name, value) in args {
        let (name, value) = match name.strip_prefix('#') {
            Some(plain) => {
                let found = look_up(&value, before)?;
                // Before there is more of it.
                take(found.weight())?;
                (plain.to_owned(), found.into_value())
            }
            None => (name, value),
        };
        if out.insert(name, value).is_some() {
            let why = "an argument stands there plain and as a reference";
            return Err(MethodError::invalid_arguments(why));
        }
    }
    Ok(Value::Object(out))
}

/// What a path leads to.
enum Found<'v> {
    One(&'v Value),
    /// The items of a list that is none in the result.
    Many(Vec<&'v Value>),
}

impl Found<'_> {
    fn weight(&self) -> usize {
        match self {
            Self::One(value) => weight(value),
            Self::Many(items) => items.iter().map(|item| weight(item)).sum(),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::One(value) => value.clone(),
            Self::Many(items) => items.into_iter().cloned().collect(),
        }
    }
}

fn look_up<'v>(reference: &Value, before: &'v [Invocation]) -> Result<Found<'v>, MethodError> {
    let member = |name| reference.get(name).and_then(Value::as_str);
    let (Some(id), Some(name), Some(path)) = (member("resultOf"), member("name"), member("path"))
    else {
        let why = "a reference is not {resultOf, name, path}";
        return Err(MethodError::invalid_arguments(why));
    };
    let lost = |why: &str| MethodError::invalid_result_reference(why);
    let result = before.iter().find(|response| response.id == id);
    let result = result.filter(|response| response.name == name);
    let result = result.ok_or_else(|| lost("no such result"))?;
    let path = match path {
        "" => "",
        _ => path
            .strip_prefix('/')
            .ok_or_else(|| lost("the path does not begin with /"))?,
    };
    let steps: Vec<&str> = if path.is_empty() {
        Vec::new()
    } else {
        path.split('/').collect()
    };
    evaluate(&result.args, &steps).ok_or_else(|| lost("the path leads to nothing"))
}

/// JSON Pointer (RFC 6901), and `*` for every item of a list, whose results, where they are lists,
/// become one.
fn evaluate<'v>(value: &'v Value, path: &[&str]) -> Option<Found<'v>> {
    let Some((step, rest)) = path.split_first() else {
        return Some(Found::One(value));
    };
    match value {
        Value::Array(items) if *step == "*" => {
            let mut all = Vec::new();
            for item in items {
                match evaluate(item, rest)? {
                    Found::One(Value::Array(inner)) => all.extend(inner),
                    Found::One(other) => all.push(other),
                    Found::Many(inner) => all.extend(inner),
                }
            }
            Some(Found::Many(all))
        }
        Value::Array(items) => {
            let is_plain = *step == "0" || !step.starts_with(['0', '+']);
            let index: usize = step.parse().ok().filter(|_| is_plain)?;
            evaluate(items.get(index)?, rest)
        }
        Value::Object(members) => {
            let name = step.replace("~1", "/").replace("~0", "~");
            evaluate(members.get(&name)?, rest)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn before() -> Vec<Invocation> {
        let args = json!({
            "ids": ["a", "b"], "list": [{"t": ["x", "y"], "one": 1}, {"t": ["z"], "one": 2}],
            "a/b": {"~": 5},
        });
        vec![Invocation {
            name: "Foo/get".to_owned(),
            args,
            id: "c1".to_owned(),
        }]
    }

    fn by_path(path: &str) -> Result<Value, MethodError> {
        let reference = json!({"resultOf": "c1", "name": "Foo/get", "path": path});
        let resolved = resolve(json!({"#v": reference}), &before(), |_| Ok(()))?;
        Ok(resolved["v"].clone())
    }

    #[test]
    fn paths_lead_through_lists_and_members() {
        assert_eq!(by_path("/ids"), Ok(json!(["a", "b"])));
        assert_eq!(by_path("/ids/1"), Ok(json!("b")));
        assert_eq!(by_path("/list/*/t"), Ok(json!(["x", "y", "z"])));
        assert_eq!(by_path("/list/*/one"), Ok(json!([1, 2])));
        assert_eq!(by_path("/a~1b/~0"), Ok(json!(5)));
        for path in [
            "ids",
            "/nothing",
            "/ids/2",
            "/ids/01",
            "/ids/-",
            "/list/*/none",
            "/ids/0/x",
        ] {
            assert_eq!(
                by_path(path).map_err(|e| e.kind()),
                Err("invalidResultReference"),
                "{path}"
            );
        }
    }

    #[test]
    fn a_reference_names_a_result_there_is() {
        let refused = |args| resolve(args, &before(), |_| Ok(())).map_err(|e| e.kind());
        let reference =
            |id: &str, name: &str| json!({"resultOf": id, "name": name, "path": "/ids"});
        assert_eq!(
            refused(json!({"#a": reference("c2", "Foo/get")})),
            Err("invalidResultReference")
        );
        assert_eq!(
            refused(json!({"#a": reference("c1", "Foo/set")})),
            Err("invalidResultReference")
        );
        assert_eq!(refused(json!({"#a": 1})), Err("invalidArguments"));
        assert_eq!(
            refused(json!({"a": 1, "#a": reference("c1", "Foo/get")})),
            Err("invalidArguments")
        );
    }

    #[test]
    fn references_do_not_double_without_end() {
        let mut results = before();
        let (mut spent, mut most) = (0, 0);
        for n in 2..80 {
            let take = |octets| {
                spent += octets;
                most = most.max(octets);
                match spent > 1 << 20 {
                    true => Err(MethodError::REQUEST_TOO_LARGE),
                    false => Ok(()),
                }
            };
            let all = json!({"resultOf": format!("c{}", n - 1), "name": "Foo/get", "path": ""});
            match resolve(json!({"#a": all, "#b": all}), &results, take) {
                Ok(args) => results.push(Invocation {
                    name: "Foo/get".to_owned(),
                    args,
                    id: format!("c{n}"),
                }),
                Err(error) => {
                    assert_eq!(error.kind(), "requestTooLarge");
                    assert!(most < 2 << 20, "asked before it is there");
                    return;
                }
            }
        }
        panic!("never refused");
    }
}
