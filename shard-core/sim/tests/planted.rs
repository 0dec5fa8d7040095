//! Each planted fault breaks a rule within a few seeds.

use tidegate_sim::{Bug, run_seed};

/// The number of seeds within which each fault must be found; most are in the first ten.
const WITHIN: u64 = 150;

fn is_found(bug: Bug) {
    let found = (0..WITHIN).find_map(|seed| {
        run_seed(seed, Some(bug), false)
            .err()
            .map(|broken| (seed, broken))
    });
    match found {
        Some((seed, broken)) => println!("{bug}: seed {seed}: {broken}"),
        None => panic!("{bug} was not found within {WITHIN} seeds"),
    }
}

#[test]
fn a_reply_before_its_sync_is_found() {
    is_found(Bug::ReplyBeforeSync);
}

#[test]
fn a_message_to_another_shard_before_its_sync_is_found() {
    is_found(Bug::MessageBeforeSync);
}

#[test]
fn an_answer_before_the_bus_has_it_is_found() {
    is_found(Bug::AnswerBeforePublished);
}

#[test]
fn a_message_to_another_shard_before_the_bus_has_its_cause_is_found() {
    is_found(Bug::MessageBeforePublished);
}

#[test]
fn a_confirm_after_expiry_is_found() {
    is_found(Bug::ConfirmAfterExpiry);
}

#[test]
fn an_id_reused_after_a_clock_step_is_found() {
    is_found(Bug::IdReuseAfterClockStep);
}

#[test]
fn an_abort_answer_that_does_not_bind_is_found() {
    is_found(Bug::AbortAnswerDoesNotBind);
}

#[test]
fn a_home_shard_that_forgets_early_is_found() {
    is_found(Bug::HomeForgetsEarly);
}

#[test]
fn a_dropped_tombstone_is_found() {
    is_found(Bug::TombstoneDropped);
}

#[test]
fn an_order_that_is_forgotten_before_the_store_has_its_end_is_found() {
    is_found(Bug::ForgottenBeforeStored);
}

#[test]
fn a_stale_record_of_a_recycled_segment_is_found() {
    is_found(Bug::StaleRecordAccepted);
}

#[test]
fn a_rewritten_durable_block_is_found() {
    is_found(Bug::DurableBlockRewritten);
}

#[test]
fn a_segment_freed_too_early_is_found() {
    is_found(Bug::SegmentFreedTooEarly);
}

#[test]
fn a_segment_that_only_the_newest_checkpoint_holds_and_is_freed_is_found() {
    is_found(Bug::FreedByNewestCheckpoint);
}

#[test]
fn a_log_that_is_told_before_the_store_has_committed_is_found() {
    is_found(Bug::MarksBeforeCommit);
}

#[test]
fn a_batch_that_is_applied_twice_after_a_lost_answer_is_found() {
    is_found(Bug::KnownWrittenAgain);
}

#[test]
fn a_batch_that_is_given_up_when_the_store_fails_is_found() {
    is_found(Bug::BatchGivenUp);
}

#[test]
fn a_gap_that_is_skipped_silently_is_found() {
    is_found(Bug::GapSkipped);
}
