//! The planted faults are found by the same histories that the sound log passes.

use super::crash::history;
use crate::Planted;

fn found(planted: Planted) -> usize {
    (0..300).filter(|&seed| history(seed, planted).is_err()).count()
}

#[test]
fn a_stale_record_of_a_recycled_segment_is_found() {
    assert!(found(Planted::StaleRecordAccepted) > 0);
}

#[test]
fn a_rewritten_durable_block_is_found() {
    assert!(found(Planted::DurableBlockRewritten) > 0);
}

#[test]
fn a_segment_freed_too_early_is_found() {
    assert!(found(Planted::SegmentFreedTooEarly) > 0);
}

#[test]
fn the_sound_log_passes_the_same_histories() {
    assert_eq!(found(Planted::None), 0);
}
