use super::*;

fn progress(durable: u64, sealed: u64) -> Progress {
    Progress {
        durable: Lsn(durable),
        sealed: Lsn(sealed),
    }
}

fn drain(gated: &mut Gated<u32>) -> Vec<u32> {
    std::iter::from_fn(|| gated.pop()).collect()
}

#[test]
fn a_value_leaves_with_the_batch_of_its_record() {
    let mut gated = Gated::new();
    gated.push(progress(3, 3), Lsn(3), 0);
    gated.push(progress(3, 3), Lsn(4), 1);
    gated.seal(Lsn(4), true);
    gated.push(progress(3, 4), Lsn(4), 2);
    gated.push(progress(3, 4), Lsn(5), 3);
    assert_eq!(drain(&mut gated), [0]);
    gated.release();
    assert_eq!(drain(&mut gated), [1, 2]);
    gated.seal(Lsn(5), true);
    gated.release();
    assert_eq!(drain(&mut gated), [3]);
    assert_eq!(gated.len(), 0);
}

#[test]
fn what_a_split_batch_leaves_behind_waits_for_the_next() {
    let mut gated = Gated::new();
    for lsn in 1..=4 {
        gated.push(progress(0, 0), Lsn(lsn), lsn as u32);
    }
    gated.seal(Lsn(2), false);
    gated.release();
    assert_eq!(drain(&mut gated), [1, 2]);
    gated.seal(Lsn(4), true);
    gated.release();
    assert_eq!(drain(&mut gated), [3, 4]);
}

#[test]
fn released_values_that_were_not_taken_keep_their_place() {
    let mut gated = Gated::new();
    gated.push(progress(1, 1), Lsn(1), 1);
    gated.push(progress(1, 1), Lsn(2), 2);
    gated.seal(Lsn(2), true);
    gated.release();
    gated.push(progress(2, 2), Lsn(2), 3);
    assert_eq!(drain(&mut gated), [1, 2, 3]);
}
