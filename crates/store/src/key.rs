//! Keys: a table byte, then fixed-width big-endian numbers and arrays, so that byte order is
//! number order; variable text only at the end.

/// Builds one key.
#[derive(Clone, Debug)]
pub struct Key {
    bytes: Vec<u8>,
}

impl Key {
    /// The start of a key in a table.
    pub fn table(table: u8) -> Self {
        let mut bytes = Vec::with_capacity(40);
        bytes.push(table);
        Self { bytes }
    }

    /// A 32-bit number.
    #[must_use]
    pub fn u32(mut self, n: u32) -> Self {
        self.bytes.extend_from_slice(&n.to_be_bytes());
        self
    }

    /// A 64-bit number.
    #[must_use]
    pub fn u64(mut self, n: u64) -> Self {
        self.bytes.extend_from_slice(&n.to_be_bytes());
        self
    }

    /// An array whose length the reader knows, or a text at the end of the key.
    #[must_use]
    pub fn array(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// The finished key.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Takes one key apart. Every read is `None` past the end.
#[derive(Clone, Debug)]
pub struct KeyReader<'a> {
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    /// A reader behind the table byte.
    pub fn new(key: &'a [u8]) -> Self {
        Self {
            rest: key.get(1..).unwrap_or_default(),
        }
    }

    /// A 32-bit number.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A 64-bit number.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// Exactly `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*head)
    }

    /// All that is left.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_is_number_order() {
        let key = |a, b| Key::table(1).u32(a).u64(b).finish();
        assert!(key(1, 256) < key(1, 257));
        assert!(key(1, u64::MAX) < key(2, 0));
        let bytes = Key::table(9).u32(7).array(&[1; 16]).array(b"text").finish();
        let mut reader = KeyReader::new(&bytes);
        assert_eq!(reader.u32(), Some(7));
        assert_eq!(reader.array(), Some([1u8; 16]));
        assert_eq!(reader.rest(), b"text");
        assert_eq!(reader.u64(), None);
    }
}
