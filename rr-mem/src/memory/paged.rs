//! Bytes in pages that lie anywhere in a file: as they are, packed, as one byte
//! that fills the page, or not at all.
//!
//! Knows no format: a format's reader fills a [`PageIndex`], and brings an
//! [`Unpack`] if pages are packed.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use super::{MappedFile, Memory, ReadCause, ReadError, ZEROES};
use crate::addr::{Address, FileOffset, ImageOffset};

/// Unpacked pages that are kept.
const SLOTS: usize = 1024;

/// Where a page is: two bits for the kind, 62 for what the kind says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Not in the file.
    Absent,
    /// Every byte of it is this one.
    Fill(u8),
    /// In the file from here on, as it is; below 2^62.
    At(FileOffset),
    /// Packed: a number, below 2^62, that the [`Unpack`] of the file knows.
    Packed(u64),
}

impl Page {
    const LOW: u64 = (1 << 62) - 1;

    const fn encode(self) -> u64 {
        match self {
            Self::Absent => 0,
            Self::Fill(byte) => 1 << 62 | byte as u64,
            Self::At(offset) => 2 << 62 | offset.0 & Self::LOW,
            Self::Packed(entry) => 3 << 62 | entry & Self::LOW,
        }
    }

    #[inline]
    const fn decode(raw: u64) -> Self {
        match (raw >> 62, raw & Self::LOW) {
            (0, _) => Self::Absent,
            (1, byte) => Self::Fill(byte as u8),
            (2, offset) => Self::At(FileOffset(offset)),
            (_, entry) => Self::Packed(entry),
        }
    }
}

/// Where each page of a row is. Only parts in which a page was set take memory.
#[derive(Debug)]
pub struct PageIndex(Vec<u64>);

impl PageIndex {
    /// `pages` pages, all absent. The caller bounds their number.
    #[must_use]
    pub fn new(pages: usize) -> Self {
        Self(vec![0; pages])
    }

    /// Sets the page with this number; `false` when there is none.
    #[inline]
    pub fn set(&mut self, number: usize, page: Page) -> bool {
        self.0.get_mut(number).map(|raw| *raw = page.encode()).is_some()
    }

    /// The page with this number; past the end all are absent.
    #[inline]
    #[must_use]
    pub fn get(&self, number: usize) -> Page {
        Page::decode(self.0.get(number).copied().unwrap_or(0))
    }

    /// How many pages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no page.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As it is kept in a file: a word a page.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.0
    }

    /// What [`PageIndex::words`] gave; any words make an index.
    #[must_use]
    pub const fn from_words(words: Vec<u64>) -> Self {
        Self(words)
    }
}

/// Unpacks the pages of one format.
pub trait Unpack: fmt::Debug + Send + Sync {
    /// Fills `page` with what is packed in `file` under number `entry`.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn unpack(&self, file: &[u8], entry: u64, page: &mut [u8]) -> Result<(), String>;
}

/// An unpacked page and its number.
type Unpacked = Option<(usize, Box<[u8]>)>;

/// A row of pages, the bytes of which lie in `file`.
#[derive(Debug)]
pub struct PagedFile {
    file: MappedFile,
    index: PageIndex,
    /// Bytes of a page, as a shift.
    shift: u32,
    unpack: Option<Box<dyn Unpack>>,
    /// The page that was unpacked last, of those with one number modulo
    /// [`SLOTS`].
    slots: Box<[Mutex<Unpacked>]>,
}

impl PagedFile {
    /// Pages of `1 << shift` bytes, none of them packed.
    #[must_use]
    pub fn new(file: MappedFile, index: PageIndex, shift: u32) -> Self {
        Self { file, index, shift, unpack: None, slots: Box::default() }
    }

    /// The same, with packed pages.
    #[must_use]
    pub fn packed(self, unpack: impl Unpack + 'static) -> Self {
        let slots = (0..SLOTS).map(|_| Mutex::default()).collect();
        Self { unpack: Some(Box::new(unpack)), slots, ..self }
    }

    /// Bytes of a page.
    #[must_use]
    pub const fn page_size(&self) -> u64 {
        1 << self.shift
    }

    /// Where the pages are.
    #[must_use]
    pub const fn index(&self) -> &PageIndex {
        &self.index
    }

    /// The file, as it is.
    #[must_use]
    pub const fn file(&self) -> &MappedFile {
        &self.file
    }

    /// The page that `addr` lies in: its number, where it is, the byte in it.
    #[inline]
    fn page(&self, addr: ImageOffset) -> (usize, Page, u64) {
        let number = (addr.0 >> self.shift) as usize;
        (number, self.index.get(number), addr.0 & (self.page_size() - 1))
    }

    /// Where the byte at `addr` is in the file, if it is there as it is.
    #[must_use]
    pub fn file_offset(&self, addr: ImageOffset) -> Option<FileOffset> {
        match self.page(addr) {
            (_, Page::At(start), inside) => start.checked_add(inside),
            _ => None,
        }
    }

    /// Reads the part of `dst` that lies in the page of `addr`: how much.
    fn read_page(&self, addr: ImageOffset, dst: &mut [u8]) -> Result<usize, ReadError> {
        let (number, page, inside) = self.page(addr);
        let len = (self.page_size() - inside).min(dst.len() as u64) as usize;
        let dst = &mut dst[..len];
        match page {
            Page::Absent => return Err(ReadError::new(addr, ReadCause::Absent)),
            Page::Fill(byte) => dst.fill(byte),
            Page::At(start) => self.read_file(start.0 + inside, addr, dst)?,
            Page::Packed(entry) => self
                .read_packed(number, entry, inside as usize, dst)
                .map_err(|what| ReadError::new(addr, ReadCause::Io(what.into())))?,
        }
        Ok(len)
    }

    fn read_file(&self, start: u64, addr: ImageOffset, dst: &mut [u8]) -> Result<(), ReadError> {
        self.file.read(FileOffset(start), dst).map_err(|error| {
            let done = error.addr.wrapping_sub(start);
            ReadError::new(ImageOffset(addr.0.wrapping_add(done)), ReadCause::Absent)
        })
    }

    /// Reads from a packed page, which its slot keeps.
    #[cold]
    fn read_packed(
        &self,
        number: usize,
        entry: u64,
        inside: usize,
        dst: &mut [u8],
    ) -> Result<(), String> {
        let (Some(unpack), Some(slot)) = (&self.unpack, self.slots.get(number % SLOTS)) else {
            return Err("the page is packed, and nothing unpacks it".into());
        };
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(&*slot, Some((kept, _)) if *kept == number) {
            let mut page =
                slot.take().map_or_else(|| vec![0; 1 << self.shift].into(), |(_, page)| page);
            unpack.unpack(self.file.bytes(), entry, &mut page)?;
            *slot = Some((number, page));
        }
        if let Some((_, page)) = &*slot {
            dst.copy_from_slice(&page[inside..inside + dst.len()]);
        }
        Ok(())
    }
}

impl Memory<ImageOffset> for PagedFile {
    fn read(&self, addr: ImageOffset, dst: &mut [u8]) -> Result<(), ReadError> {
        let mut done = 0;
        while done < dst.len() {
            let here = ImageOffset(addr.0.wrapping_add(done as u64));
            done += self.read_page(here, &mut dst[done..])?;
        }
        Ok(())
    }

    #[inline]
    fn slice(&self, addr: ImageOffset, len: usize) -> Option<&[u8]> {
        let (_, page, inside) = self.page(addr);
        if len as u64 > self.page_size() - inside {
            return None;
        }
        match page {
            Page::At(start) => self.file.slice(FileOffset(start.0 + inside), len),
            Page::Fill(0) => ZEROES.get(..len),
            _ => None,
        }
    }
}

/// The bytes of an image: a file as it is, or pages anywhere in it.
#[derive(Clone, Debug)]
pub enum ImageBytes {
    /// An [`ImageOffset`] is an offset in this file.
    Flat(MappedFile),
    /// An [`ImageOffset`] is a place in this row of pages.
    Paged(Arc<PagedFile>),
}

impl ImageBytes {
    /// The file, as it is.
    #[must_use]
    pub fn file(&self) -> &MappedFile {
        match self {
            Self::Flat(file) => file,
            Self::Paged(paged) => paged.file(),
        }
    }

    /// Where the byte at `addr` is in the file, after any compression was taken
    /// off. `None` if the file does not hold the byte as it is.
    #[must_use]
    pub fn file_offset(&self, addr: ImageOffset) -> Option<FileOffset> {
        match self {
            Self::Flat(_) => Some(FileOffset(addr.0)),
            Self::Paged(paged) => paged.file_offset(addr),
        }
    }

    /// The length of the first run within `len` bytes from `addr` on that is
    /// either all in the file (`true`) or all not.
    #[must_use]
    pub fn run(&self, addr: ImageOffset, len: u64) -> (bool, u64) {
        let Self::Paged(paged) = self else { return (true, len) };
        let (first, page, inside) = paged.page(addr);
        let held = page != Page::Absent;
        let same = |number: &usize| (paged.index.get(*number) != Page::Absent) == held;
        let pages = (inside.saturating_add(len)).div_ceil(paged.page_size()) as usize;
        let run = (first..first.saturating_add(pages)).take_while(same).count() as u64;
        (held, (run * paged.page_size() - inside).min(len))
    }
}

impl Memory<ImageOffset> for ImageBytes {
    #[inline]
    fn read(&self, addr: ImageOffset, dst: &mut [u8]) -> Result<(), ReadError> {
        match self {
            Self::Flat(file) => file.read(FileOffset(addr.0), dst),
            Self::Paged(paged) => paged.read(addr, dst),
        }
    }

    #[inline]
    fn slice(&self, addr: ImageOffset, len: usize) -> Option<&[u8]> {
        match self {
            Self::Flat(file) => file.slice(FileOffset(addr.0), len),
            Self::Paged(paged) => paged.slice(addr, len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Entry n is a page full of n; odd entries are damaged.
    #[derive(Debug)]
    struct Evens;

    impl Unpack for Evens {
        fn unpack(&self, _: &[u8], entry: u64, page: &mut [u8]) -> Result<(), String> {
            page.fill(entry as u8);
            if entry % 2 == 1 { Err("odd".into()) } else { Ok(()) }
        }
    }

    fn file() -> MappedFile {
        MappedFile::from_vec((0..=255).collect())
    }

    /// Pages of 16 bytes.
    fn paged(pages: &[Page]) -> ImageBytes {
        let mut index = PageIndex::new(pages.len());
        for (number, page) in pages.iter().enumerate() {
            assert!(index.set(number, *page));
        }
        ImageBytes::Paged(Arc::new(PagedFile::new(file(), index, 4).packed(Evens)))
    }

    fn read(bytes: &ImageBytes, addr: u64, len: usize) -> (Vec<u8>, Option<(u64, ReadCause)>) {
        let mut dst = vec![0xee; len];
        let error = bytes.read(ImageOffset(addr), &mut dst).err();
        (dst, error.map(|error| (error.addr, error.cause)))
    }

    const PLAIN: Page = Page::At(FileOffset(0x48));

    #[test]
    fn reads_cross_pages_of_all_kinds() {
        let bytes = paged(&[PLAIN, Page::Fill(7), Page::Packed(8), Page::Fill(0)]);
        let (dst, error) = read(&bytes, 14, 36);
        assert_eq!(error, None);
        assert_eq!(dst[..2], [0x56, 0x57]);
        assert!(
            dst[2..18].iter().all(|&byte| byte == 7) && dst[18..34].iter().all(|&byte| byte == 8)
        );
        assert_eq!(dst[34..], [0, 0]);
    }

    #[test]
    fn slices_are_the_files_own_bytes_within_one_page() {
        let bytes = paged(&[PLAIN, Page::Fill(0), Page::Fill(7), Page::Packed(8)]);
        let slice = |addr, len| bytes.slice(ImageOffset(addr), len).map(<[u8]>::to_vec);
        assert_eq!(slice(14, 2), Some(vec![0x56, 0x57]));
        assert_eq!(slice(16, 3), Some(vec![0; 3]));
        for addr in [15, 31, 32, 48, 64] {
            assert_eq!(slice(addr, 2), None, "{addr}");
        }
    }

    #[test]
    fn an_absent_page_is_an_error_never_zeros() {
        let bytes = paged(&[Page::Fill(1), Page::Absent, PLAIN]);
        assert_eq!(read(&bytes, 15, 2), (vec![1, 0xee], Some((16, ReadCause::Absent))));
        assert_eq!(read(&bytes, 48, 1).1, Some((48, ReadCause::Absent)), "past the last page");
        assert_eq!(read(&bytes, u64::MAX, 2).1, Some((u64::MAX, ReadCause::Absent)));
    }

    #[test]
    fn a_page_past_the_end_of_the_file_is_absent_from_there_on() {
        let bytes = paged(&[Page::At(FileOffset(250)), Page::At(FileOffset((1 << 62) - 1))]);
        let (dst, error) = read(&bytes, 0, 8);
        assert_eq!(
            (&dst[..6], error),
            (&[250, 251, 252, 253, 254, 255][..], Some((6, ReadCause::Absent)))
        );
        assert_eq!(bytes.slice(ImageOffset(0), 8), None);
        assert_eq!(read(&bytes, 31, 1).1, Some((31, ReadCause::Absent)));
    }

    #[test]
    fn a_damaged_page_is_an_error_each_time() {
        let bytes = paged(&[Page::Packed(3), Page::Packed(4)]);
        for _ in 0..2 {
            assert_eq!(read(&bytes, 5, 1).1, Some((5, ReadCause::Io("odd".into()))));
        }
        assert_eq!(read(&bytes, 16, 1), (vec![4], None));
    }

    #[test]
    fn pages_that_share_a_slot_are_told_apart() {
        let mut pages = vec![Page::Absent; SLOTS + 1];
        (pages[0], pages[SLOTS]) = (Page::Packed(2), Page::Packed(4));
        let bytes = paged(&pages);
        for (addr, byte) in [(0, 2), (SLOTS as u64 * 16, 4), (0, 2)] {
            assert_eq!(read(&bytes, addr, 1), (vec![byte], None));
        }
    }

    #[test]
    fn only_plain_pages_have_a_file_offset() {
        let bytes = paged(&[PLAIN, Page::Fill(0), Page::Packed(2), Page::Absent]);
        let offset = |addr| bytes.file_offset(ImageOffset(addr)).map(|offset| offset.0);
        assert_eq!([3, 16, 32, 48, 64].map(offset), [Some(0x4b), None, None, None, None]);
        let flat = ImageBytes::Flat(file());
        assert_eq!(flat.file_offset(ImageOffset(5)), Some(FileOffset(5)));
    }

    #[test]
    fn runs_tell_what_the_file_has() {
        let bytes = paged(&[PLAIN, Page::Fill(0), Page::Absent, Page::Absent, Page::Packed(2)]);
        assert_eq!(bytes.run(ImageOffset(3), 100), (true, 29));
        assert_eq!(bytes.run(ImageOffset(3), 5), (true, 5));
        assert_eq!(bytes.run(ImageOffset(33), 100), (false, 31));
        assert_eq!(bytes.run(ImageOffset(64), 16), (true, 16));
        assert_eq!(ImageBytes::Flat(file()).run(ImageOffset(3), 9), (true, 9));
    }
}
