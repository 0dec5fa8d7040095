//! What recovery needs of a disk.

use crate::position::SegmentNumber;

/// A segment file as the directory shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// From the file's name ([`SegmentNumber::from_file_name`]).
    pub number: SegmentNumber,
    /// The file's length in bytes.
    pub bytes: u64,
}

/// Reads the segments of one log. The host implements it over files, the simulation over its disk.
pub trait SegmentSource {
    /// What a failed read says.
    type Error: std::fmt::Debug;

    /// Every segment file of the log, in any order.
    fn segments(&mut self) -> Result<Vec<SegmentFile>, Self::Error>;

    /// Fills `out` from `offset`. Both are multiples of the block size and `out` is aligned, so O_DIRECT may serve it.
    /// What lies past the file's end reads as zeros.
    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> Result<(), Self::Error>;
}
