//! Parameters that were written in pieces, whole again (RFC 2231 3), as BODYSTRUCTURE tells them
//! (RFC 9051 7.5.2).
//!
//! Invariant: the work is linear, nothing is lost, and what is not in pieces stays as it was
//! written. A whole value with an extended piece is an extended value itself, in ASCII: it refuses
//! to change the charset, since a client knows the name `filename*` to mean what RFC 2231 4 says.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::part::Param;

/// The parameters, those in pieces (`filename*0*`, `filename*1`) joined where the first one stood.
/// A piece without all those before it stays as it is.
pub fn whole_params<'p, B: AsRef<[u8]>>(params: &'p [Param<B>]) -> Vec<Param<Cow<'p, [u8]>>> {
    // As nearly always.
    if !params
        .iter()
        .any(|param| param.name.as_ref().contains(&b'*'))
    {
        return params.iter().map(as_written).collect();
    }
    let mut places = HashMap::new();
    for (place, param) in params.iter().enumerate() {
        if let Some(piece) = Piece::of(param) {
            let key = (piece.name.to_ascii_lowercase(), piece.index);
            places.entry(key).or_insert(place);
        }
    }
    let mut joined = vec![false; params.len()];
    let mut wholes = HashMap::new();
    for (place, param) in params.iter().enumerate() {
        let Some(first) = Piece::of(param).filter(|piece| piece.index == 0) else {
            continue;
        };
        let mut key = (first.name.to_ascii_lowercase(), 0);
        let mut pieces = Vec::new();
        // A second set of pieces under one name stays as it is written.
        while let Some(at) = places.remove(&key) {
            pieces.extend(params.get(at).and_then(Piece::of));
            joined.get_mut(at).into_iter().for_each(|it| *it = true);
            key.1 += 1;
        }
        if !pieces.is_empty() {
            wholes.insert(place, whole(first.name, &pieces));
        }
    }
    let kept = |(place, param): (usize, &'p Param<B>)| -> Option<Param<Cow<'p, [u8]>>> {
        if let Some(whole) = wholes.remove(&place) {
            return Some(whole);
        }
        let is_joined = joined.get(place).copied().unwrap_or_default();
        (!is_joined).then(|| as_written(param))
    };
    params.iter().enumerate().filter_map(kept).collect()
}

fn as_written<B: AsRef<[u8]>>(param: &Param<B>) -> Param<Cow<'_, [u8]>> {
    Param {
        name: param.name.as_ref().into(),
        value: param.value.as_ref().into(),
    }
}

/// One piece of a value: `name*index`, with a `*` at its end where it is extended.
struct Piece<'a> {
    name: &'a [u8],
    index: u32,
    extended: bool,
    value: &'a [u8],
}

impl<'a> Piece<'a> {
    fn of<B: AsRef<[u8]>>(param: &'a Param<B>) -> Option<Self> {
        let name = param.name.as_ref();
        let bare = name.strip_suffix(b"*");
        let extended = bare.is_some();
        let bare = bare.unwrap_or(name);
        let star = bare.iter().rposition(|byte| *byte == b'*')?;
        let (name, number) = bare.split_at(star);
        let digits = number.get(1..).filter(|digits| {
            // RFC 2231 7: a number without zeros before it.
            digits.iter().all(u8::is_ascii_digit) && (*digits == b"0" || !digits.starts_with(b"0"))
        })?;
        Some(Self {
            name,
            index: std::str::from_utf8(digits).ok()?.parse().ok()?,
            extended,
            value: param.value.as_ref(),
        })
    }
}

fn whole<'a>(name: &[u8], pieces: &[Piece<'_>]) -> Param<Cow<'a, [u8]>> {
    let mut name = name.to_vec();
    let mut value = Vec::new();
    if !pieces.iter().any(|piece| piece.extended) {
        pieces
            .iter()
            .for_each(|piece| value.extend_from_slice(piece.value));
    } else {
        name.push(b'*');
        // RFC 2231 4.1: only the first piece tells charset and language; here it does not.
        if !pieces.first().is_some_and(|piece| piece.extended) {
            value.extend_from_slice(b"''");
        }
        for piece in pieces {
            if piece.extended {
                value.extend_from_slice(piece.value);
            } else {
                piece.value.iter().for_each(|byte| push(&mut value, *byte));
            }
        }
    }
    Param {
        name: name.into(),
        value: value.into(),
    }
}

/// RFC 2231 7: what is no attribute-char by its number.
fn push(out: &mut Vec<u8>, byte: u8) {
    if byte.is_ascii_graphic() && !b"*'%()<>@,;:\\\"/[]?=".contains(&byte) {
        out.push(byte);
    } else {
        out.extend_from_slice(format!("%{byte:02X}").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole_of(params: &[(&str, &str)]) -> Vec<(String, String)> {
        let params: Vec<Param> = params
            .iter()
            .map(|(name, value)| Param {
                name: name.as_bytes().to_vec(),
                value: value.as_bytes().to_vec(),
            })
            .collect();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        whole_params(&params)
            .iter()
            .map(|param| (text(&param.name), text(&param.value)))
            .collect()
    }

    #[track_caller]
    fn assert_whole(params: &[(&str, &str)], expected: &[(&str, &str)]) {
        let expected: Vec<(String, String)> = expected
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        assert_eq!(whole_of(params), expected);
    }

    #[test]
    fn pieces_are_joined_where_the_first_one_stood() {
        assert_whole(
            &[("a", "1"), ("URL*0", "ftp://"), ("b", "2"), ("url*1", "x")],
            &[("a", "1"), ("URL", "ftp://x"), ("b", "2")],
        );
        // In any order, as RFC 2231 3 lets them stand.
        assert_whole(&[("n*1", "b"), ("n*0", "a")], &[("n", "ab")]);
    }

    #[test]
    fn an_extended_piece_makes_the_whole_extended() {
        assert_whole(
            &[
                ("t*0*", "us-ascii'en'a%20"),
                ("t*1*", "b%2A"),
                ("t*2", "c d!"),
            ],
            &[("t*", "us-ascii'en'a%20b%2Ac%20d!")],
        );
        assert_whole(&[("t*0", "a'"), ("t*1*", "%20")], &[("t*", "''a%27%20")]);
    }

    #[test]
    fn what_is_in_no_order_stays_as_it_is() {
        for params in [
            &[("n*1", "b")][..],
            &[("n*00", "a"), ("n*01", "b")],
            &[("n*", "utf-8''a"), ("*", "x"), ("n**", "y")],
            &[("n*x", "a"), ("n*99999999999", "b")],
        ] {
            assert_whole(params, params);
        }
        assert_whole(
            &[("n*0", "a"), ("n*0", "again"), ("n*2", "c")],
            &[("n", "a"), ("n*0", "again"), ("n*2", "c")],
        );
    }
}
