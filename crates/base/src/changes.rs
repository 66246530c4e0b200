//! What changed of numbered things, told from any change number on (RFC 8620 5.2).
//!
//! Each thing knows the number of the change that made it and of the one that changed it last, and what
//! went leaves that much behind. So one look at all of them says what changed, without a log.

/// One thing, or what is left of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Numbered<I> {
    /// Its id.
    pub id: I,
    /// The number of the change that made it.
    pub created: u64,
    /// The number of its newest change.
    pub changed: u64,
    /// Whether it is there.
    pub is_there: bool,
}

/// What changed, as far as it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<I> {
    /// The number of the newest change that is told.
    pub state: u64,
    /// Whether there are more.
    pub has_more: bool,
    /// What was made.
    pub created: Vec<I>,
    /// What was changed.
    pub updated: Vec<I>,
    /// What went.
    pub destroyed: Vec<I>,
}

impl<I> Changes<I> {
    /// What changed after change number `since` up to the newest, `state`, of at most `max` things, the
    /// first changed first. What was made since counts from then: whoever goes on from a number in
    /// between knows of it, however often it has changed.
    pub fn since(
        since: u64,
        state: u64,
        things: impl IntoIterator<Item = Numbered<I>>,
        max: usize,
    ) -> Self {
        // Made and gone meanwhile is no news.
        let is_news = |thing: &Numbered<I>| {
            thing.changed > since && (thing.created <= since || thing.is_there)
        };
        let told_at = |thing: &Numbered<I>| match thing.created > since {
            true => thing.created,
            false => thing.changed,
        };
        let mut news: Vec<Numbered<I>> = things.into_iter().filter(is_news).collect();
        news.sort_by_key(told_at);
        let has_more = news.len() > max;
        news.truncate(max);
        let state = match news.last() {
            Some(last) if has_more => told_at(last),
            _ => state,
        };
        let mut changes = Self {
            state,
            has_more,
            created: Vec::new(),
            updated: Vec::new(),
            destroyed: Vec::new(),
        };
        for thing in news {
            let of = match (thing.is_there, thing.created > since) {
                (false, _) => &mut changes.destroyed,
                (true, true) => &mut changes.created,
                (true, false) => &mut changes.updated,
            };
            of.push(thing.id);
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_told_in_order_and_what_came_and_went_is_not() {
        let thing = |id, created, changed, is_there| Numbered {
            id,
            created,
            changed,
            is_there,
        };
        let all = [
            thing('a', 1, 9, true),
            thing('b', 2, 8, false),
            thing('c', 6, 6, true),
            thing('d', 6, 7, false),
            thing('e', 3, 3, true),
        ];
        let told = Changes::since(5, 10, all, 9);
        assert_eq!((told.state, told.has_more), (10, false));
        assert_eq!(
            (told.created, told.updated, told.destroyed),
            (vec!['c'], vec!['a'], vec!['b'])
        );
        let some = Changes::since(5, 10, all, 2);
        assert_eq!((some.state, some.has_more), (8, true));
        assert_eq!(
            (some.created, some.updated, some.destroyed),
            (vec!['c'], vec![], vec!['b'])
        );
        let rest = Changes::since(some.state, 10, all, 2);
        assert_eq!((rest.state, rest.updated), (10, vec!['a']));
    }

    #[test]
    fn what_was_made_is_told_as_made_before_it_is_told_as_changed() {
        let thing = |id, created, changed| Numbered {
            id,
            created,
            changed,
            is_there: true,
        };
        let all = [thing('a', 6, 9), thing('b', 1, 7), thing('c', 2, 8)];
        let first = Changes::since(5, 9, all, 2);
        assert_eq!((first.state, first.has_more), (7, true));
        assert_eq!((first.created, first.updated), (vec!['a'], vec!['b']));
        let rest = Changes::since(7, 9, all, 2);
        assert_eq!((rest.state, rest.updated), (9, vec!['c', 'a']));
    }
}
