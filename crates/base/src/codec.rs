//! The value layout that rows share: a version byte, then unsigned varints (LEB128), fixed arrays
//! and length-prefixed bytes. Rows are small, so the layout favours few bytes and one pass.
//!
//! Invariant: a reader never panics and never allocates more than it was given; damage is
//! [`Damaged`], which says nothing about whose bytes they were.

/// Bytes that are not what their writer wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored row is damaged")]
pub struct Damaged;

/// Builds one value.
#[derive(Debug, Default)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    /// A value whose first byte is the layout's version.
    pub fn versioned(version: u8) -> Self {
        Self {
            bytes: vec![version],
        }
    }

    /// An unsigned number in 1 to 10 bytes.
    pub fn number(&mut self, mut n: u64) -> &mut Self {
        while n >= 0x80 {
            self.bytes.push((n as u8) | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
        self
    }

    /// One byte.
    pub fn byte(&mut self, byte: u8) -> &mut Self {
        self.bytes.push(byte);
        self
    }

    /// Bytes of a length that the reader knows.
    pub fn array(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// A length and that many bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.number(bytes.len() as u64).array(bytes)
    }

    /// A length and that many bytes of UTF-8.
    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    /// 0, or 1 and what `write` adds.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) -> &mut Self {
        match value {
            None => self.byte(0),
            Some(value) => {
                self.byte(1);
                write(self, value);
                self
            }
        }
    }

    /// A count and each item.
    pub fn list<T>(&mut self, items: &[T], mut write: impl FnMut(&mut Self, &T)) -> &mut Self {
        self.number(items.len() as u64);
        for item in items {
            write(self, item);
        }
        self
    }

    /// The finished value.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

/// Takes one value apart.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader over a value without a version byte.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// A reader over a value, and its version byte.
    pub fn versioned(bytes: &'a [u8]) -> Result<(u8, Self), Damaged> {
        let mut reader = Self::new(bytes);
        Ok((reader.byte()?, reader))
    }

    /// A reader over a value that must be of this version.
    pub fn of_version(bytes: &'a [u8], version: u8) -> Result<Self, Damaged> {
        match Self::versioned(bytes)? {
            (found, reader) if found == version => Ok(reader),
            _ => Err(Damaged),
        }
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, Damaged> {
        let (&first, rest) = self.rest.split_first().ok_or(Damaged)?;
        self.rest = rest;
        Ok(first)
    }

    /// An unsigned number.
    pub fn number(&mut self) -> Result<u64, Damaged> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(Damaged);
            }
            n |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Damaged)
    }

    /// An unsigned number that must fit 32 bits.
    pub fn number32(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.number()?).map_err(|_| Damaged)
    }

    /// Exactly `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Damaged)?;
        self.rest = rest;
        Ok(*head)
    }

    /// A length and that many bytes.
    pub fn bytes(&mut self) -> Result<&'a [u8], Damaged> {
        let len = usize::try_from(self.number()?).map_err(|_| Damaged)?;
        if len > self.rest.len() {
            return Err(Damaged);
        }
        let (head, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(head)
    }

    /// A length and that many bytes of UTF-8.
    pub fn text(&mut self) -> Result<String, Damaged> {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| Damaged)
    }

    /// 0, or 1 and what `read` takes.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, Damaged>,
    ) -> Result<Option<T>, Damaged> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Damaged),
        }
    }

    /// A count and each item.
    pub fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, Damaged>,
    ) -> Result<Vec<T>, Damaged> {
        let count = self.number()?;
        // An item takes a byte at least: a damaged count can't make us allocate.
        if count > self.rest.len() as u64 {
            return Err(Damaged);
        }
        (0..count).map(|_| read(self)).collect()
    }

    /// Whether the whole value has been read.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let mut w = Writer::versioned(3);
        w.number(0)
            .number(127)
            .number(128)
            .number(u64::MAX)
            .array(&[1, 2])
            .text("ü");
        w.option(Some(5), |w, n| {
            w.number(n);
        });
        w.option(None::<u64>, |_, _| {}).list(&[7u64, 9], |w, n| {
            w.number(*n);
        });
        let bytes = w.finish();
        let mut r = Reader::of_version(&bytes, 3).unwrap();
        for n in [0, 127, 128, u64::MAX] {
            assert_eq!(r.number(), Ok(n));
        }
        assert_eq!(r.array(), Ok([1, 2]));
        assert_eq!(r.text().as_deref(), Ok("ü"));
        assert_eq!(r.option(Reader::number), Ok(Some(5)));
        assert_eq!(r.option(Reader::number), Ok(None));
        assert_eq!(r.list(Reader::number), Ok(vec![7, 9]));
        assert!(r.is_empty());
    }

    #[test]
    fn damage_is_an_error() {
        assert_eq!(Reader::new(&[0xff; 11]).number(), Err(Damaged));
        assert_eq!(Reader::new(&[5, 1]).bytes(), Err(Damaged));
        assert_eq!(
            Reader::new(&[0xff, 0xff, 3, 1]).list(Reader::number),
            Err(Damaged)
        );
        assert_eq!(Reader::new(&[2]).option(Reader::number), Err(Damaged));
        assert!(Reader::of_version(&[1], 2).is_err());
        assert!(Reader::of_version(&[], 2).is_err());
    }
}
