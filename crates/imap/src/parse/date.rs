//! Dates: `date` of SEARCH and `date-time` of APPEND (RFC 9051 9), to timestamps in UTC.
//!
//! A moment before 1970, which no stored message has, becomes 1970-01-01. Refuses dates that are
//! in no calendar.

use tern_base::Timestamp;

use super::cursor::Cursor;
use super::{Parsed, Reason};

/// RFC 9051 9 date: the start of the day in UTC, bare or quoted.
pub(super) fn date(cursor: &mut Cursor<'_>) -> Parsed<Timestamp> {
    let quoted = cursor.eat(b'"');
    let (year, month, day) = day_month_year(cursor, 1)?;
    if quoted && !cursor.eat(b'"') {
        return Err(Reason::Date);
    }
    moment(year, month, day, [0; 3], 0)
}

/// RFC 9051 9 date-time: `" 1-Feb-2026 10:00:00 +0100"`.
pub(super) fn date_time(cursor: &mut Cursor<'_>) -> Parsed<Timestamp> {
    cursor.expect(b'"')?;
    // date-day-fixed is SP DIGIT or two digits; one digit alone is common enough.
    let _ = cursor.eat(b' ');
    let (year, month, day) = day_month_year(cursor, 1)?;
    cursor.space().map_err(|_| Reason::Date)?;
    let mut clock = [0; 3];
    for (index, field) in clock.iter_mut().enumerate() {
        if index > 0 && !cursor.eat(b':') {
            return Err(Reason::Date);
        }
        *field = digits(cursor, 2, 2)?;
    }
    cursor.space().map_err(|_| Reason::Date)?;
    let west = if cursor.eat(b'-') {
        true
    } else if cursor.eat(b'+') {
        false
    } else {
        return Err(Reason::Date);
    };
    let zone = digits(cursor, 4, 4)?;
    if zone % 100 > 59 || !cursor.eat(b'"') {
        return Err(Reason::Date);
    }
    let minutes = i64::from(zone / 100 * 60 + zone % 100);
    moment(
        year,
        month,
        day,
        clock,
        if west { -minutes } else { minutes },
    )
}

fn day_month_year(cursor: &mut Cursor<'_>, least: usize) -> Parsed<(u32, u32, u32)> {
    let day = digits(cursor, least, 2)?;
    if !cursor.eat(b'-') {
        return Err(Reason::Date);
    }
    let name = cursor.rest().get(..3).ok_or(Reason::Date)?;
    let months: [&[u8; 3]; 12] = [
        b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov",
        b"dec",
    ];
    let index = months
        .iter()
        .position(|month| name.eq_ignore_ascii_case(*month));
    let month = index.ok_or(Reason::Date)? as u32 + 1;
    cursor.skip(3);
    if !cursor.eat(b'-') {
        return Err(Reason::Date);
    }
    Ok((digits(cursor, 4, 4)?, month, day))
}

fn digits(cursor: &mut Cursor<'_>, least: usize, most: usize) -> Parsed<u32> {
    let (mut value, mut count) = (0, 0);
    while let Some(byte @ b'0'..=b'9') = cursor.peek() {
        cursor.skip(1);
        value = value * 10 + u32::from(byte - b'0');
        count += 1;
        if count > most {
            return Err(Reason::Date);
        }
    }
    if count < least {
        Err(Reason::Date)
    } else {
        Ok(value)
    }
}

/// The moment of a civil time `zone` minutes ahead of UTC.
fn moment(year: u32, month: u32, day: u32, clock: [u32; 3], zone: i64) -> Parsed<Timestamp> {
    let [hour, minute, second] = clock;
    // Years before 1970 are checked in a year with the same leap rule, 400 years apart.
    let shifted = if year < 1970 {
        i64::from(year) + 2000
    } else {
        i64::from(year)
    };
    let local = Timestamp::from_civil(shifted, month, day, hour, minute, second);
    let local = local.ok_or(Reason::Date)?;
    if year < 1970 {
        return Ok(Timestamp::default());
    }
    let secs = i64::try_from(local.as_secs())
        .unwrap_or(i64::MAX)
        .saturating_sub(zone * 60);
    Ok(Timestamp::from_secs(u64::try_from(secs).unwrap_or(0)))
}
