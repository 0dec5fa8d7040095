//! Finding batches in a segment's bytes.

use super::view::SegmentView;
use crate::batch::{self, BatchHeader, Identity};
use crate::fault::WalkError;
use crate::limits::BLOCK;
use crate::source::SegmentSource;

/// The batch at `at`, if all of it is valid; else the offset of the first thing that is not.
#[expect(clippy::type_complexity, reason = "a read error around found or bad")]
pub(super) fn sound_batch<S: SegmentSource, V>(
    view: &mut SegmentView<'_, S>,
    identity: &Identity,
    at: u32,
) -> Result<Result<(u32, BatchHeader), u32>, WalkError<S::Error, V>> {
    let Some(header) = view
        .bytes(at, batch::HEADER)?
        .and_then(|b| BatchHeader::read(b, identity, at))
    else {
        return Ok(Err(at));
    };
    let seed = identity.seed(header.start);
    let Some(batch) = view.bytes(at, header.bytes as usize)? else {
        return Ok(Err(at));
    };
    Ok(batch::check(batch, header.records, seed, at).map(|()| (at, header)))
}

pub(super) struct Searched {
    pub(super) found: Option<BatchHeader>,
    /// Not only zeros were passed.
    pub(super) nonzero: bool,
}

/// The first sound batch header from `from` on that `wanted` holds of. Headers stand at blocks' beginnings.
pub(super) fn search<S: SegmentSource, V>(
    view: &mut SegmentView<'_, S>,
    identity: &Identity,
    from: u32,
    wanted: impl Fn(&BatchHeader) -> bool,
) -> Result<Searched, WalkError<S::Error, V>> {
    let (mut at, mut nonzero) = (from, false);
    loop {
        let next = (at + 1).next_multiple_of(BLOCK as u32);
        let Some(bytes) = view.bytes(at, (next - at) as usize)? else {
            return Ok(Searched { found: None, nonzero });
        };
        nonzero = nonzero || bytes.iter().any(|&byte| byte != 0);
        let found = BatchHeader::read(bytes, identity, at).filter(|header| wanted(header));
        if found.is_some() {
            return Ok(Searched { found, nonzero });
        }
        at = next;
    }
}
