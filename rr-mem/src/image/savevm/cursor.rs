//! A place in a stream: big-endian numbers, and strings behind their length.

/// The stream ends where something should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut;

/// Reads front to back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// The next byte's offset.
    pub const fn at(&self) -> usize {
        self.at
    }

    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    pub fn go_to(&mut self, at: u64) -> Result<(), Cut> {
        let at = usize::try_from(at).ok().filter(|&at| at <= self.bytes.len());
        self.at = at.ok_or(Cut)?;
        Ok(())
    }

    /// The next byte, which stays the next one.
    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], Cut> {
        let end = self.at.checked_add(len).ok_or(Cut)?;
        let taken = self.bytes.get(self.at..end).ok_or(Cut)?;
        self.at = end;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Cut> {
        let taken = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk).ok_or(Cut)?;
        self.at += N;
        Ok(*taken)
    }

    #[inline]
    pub fn u8(&mut self) -> Result<u8, Cut> {
        self.array().map(|[byte]| byte)
    }

    pub fn u16(&mut self) -> Result<u16, Cut> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Result<u32, Cut> {
        self.array().map(u32::from_be_bytes)
    }

    #[inline]
    pub fn u64(&mut self) -> Result<u64, Cut> {
        self.array().map(u64::from_be_bytes)
    }

    /// A string behind one byte of length.
    pub fn name(&mut self) -> Result<&'a [u8], Cut> {
        let len = self.u8()?;
        self.take(len.into())
    }
}
