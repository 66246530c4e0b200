//! A StateChange in parts, for who takes no more than so many octets at once.
//!
//! Invariant: each part is a StateChange of some of the accounts (RFC 8620 7.1), and together they say what
//! the whole says.

use serde_json::{Map, Value, json};

/// The texts of a StateChange's parts, each at most so many octets, where its accounts can be parted so.
pub fn parts(change: &Value, most: usize) -> Vec<String> {
    let whole = change.to_string();
    let changed = change.get("changed").and_then(Value::as_object);
    let Some(changed) = changed.filter(|_| whole.len() > most) else {
        return vec![whole];
    };
    let mut texts = Vec::new();
    let mut part = Map::new();
    for (account, types) in changed {
        let mut more = part.clone();
        more.insert(account.clone(), types.clone());
        if !part.is_empty() && text(&more).len() > most {
            texts.push(text(&part));
            part.clear();
            part.insert(account.clone(), types.clone());
        } else {
            part = more;
        }
    }
    texts.push(text(&part));
    texts
}

fn text(changed: &Map<String, Value>) -> String {
    json!({"@type": "StateChange", "changed": changed}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_short_enough_and_say_together_what_the_whole_says() {
        let state = "0123456789abcdef0123456789abcdef";
        let types = json!({"Email": state, "Mailbox": state, "Thread": state});
        let accounts = (1..=50).map(|n| (format!("A{n}"), types.clone()));
        let changed: Map<String, Value> = accounts.collect();
        let change = json!({"@type": "StateChange", "changed": changed});
        let most = 3_993;
        assert!(change.to_string().len() > most);
        let texts = parts(&change, most);
        assert!(texts.len() > 1 && texts.iter().all(|text| text.len() <= most));
        let mut together = Map::new();
        for text in &texts {
            let part: Value = serde_json::from_str(text).expect("JSON");
            assert_eq!(part["@type"], "StateChange");
            for (account, types) in part["changed"].as_object().expect("accounts") {
                let twice = together.insert(account.clone(), types.clone());
                assert_eq!(twice, None, "{account}");
            }
        }
        assert_eq!(together, changed);
    }

    #[test]
    fn what_is_short_or_can_not_be_parted_is_one() {
        let short = json!({"@type": "StateChange", "changed": {"A1": {"Email": "1"}}});
        assert_eq!(parts(&short, 4_000), [short.to_string()]);
        assert_eq!(parts(&short, 1), [short.to_string()]);
    }
}
