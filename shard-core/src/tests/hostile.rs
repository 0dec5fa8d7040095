//! Bytes that nobody should have written.

use super::world::*;
use crate::entry::Entry;
use crate::ids::*;
use crate::shard::*;
use proptest::prelude::*;

/// Entries of every kind, and a snapshot with every table filled.
fn samples() -> (Vec<Vec<u8>>, Vec<u8>, ShardConfig) {
    let mut world = World::new(2);
    let names: Vec<String> = (0..20).map(|number| format!("S{number}:X")).collect();
    for sku in &names {
        world.put_with(sku, 10, |put| {
            put.buyer_limit = Some(Some(9));
            put.name = Some("Something".into());
        });
    }
    for key in 0..6 {
        let at = key as usize;
        world.placed(
            1,
            key,
            &[(&names[at], 1), (&names[at + 6], 1), (&names[at + 12], 1)],
        );
    }
    let orders: Vec<OrderId> = world
        .shards
        .iter()
        .flat_map(|s| s.orders.iter().map(|(_, r)| r.id))
        .collect();
    world.start_payment(orders[0], "ch_1");
    world.start_payment(orders[1], "ch_2");
    world.close_charge(orders[1], "ch_2");
    world.cancel(orders[0]);
    world.cancel(orders[2]);
    world.confirm(orders[3], "ch_3");
    world.confirm(orders[2], "ch_4");
    let change = crate::ChangeStock {
        sku: name(&names[0]),
        delta: -1,
        reason: "x".into(),
        key: key(9, 9),
    };
    world.run(crate::Command::ChangeStock(Box::new(change)));
    world.ask(place(
        3,
        3,
        &[(&names[1], 1), (&names[2], 1), (&names[3], 1), (&names[4], 1)],
    ));
    let digest = world.shards[0].digest_entry(world.now);
    world.apply(0, &digest);
    world.check();
    let mut snapshot = Vec::new();
    world.shards[0].snapshot(&mut snapshot);
    (world.logs.concat(), snapshot, world.shards[0].config.clone())
}

#[test]
fn every_cut_and_every_changed_byte_of_an_entry_is_refused_or_read_but_never_fatal() {
    let (entries, ..) = samples();
    for bytes in entries {
        for end in 0..bytes.len() {
            assert!(Entry::decode(&bytes[..end]).is_err());
        }
        for at in 0..bytes.len() {
            for change in [1, 0x80, 0xff] {
                let mut spoiled = bytes.clone();
                spoiled[at] ^= change;
                if let Ok(entry) = Entry::decode(&spoiled) {
                    let mut again = Vec::new();
                    entry.encode(&mut again);
                    assert_eq!(again, spoiled, "one form per entry");
                }
            }
        }
    }
}

#[test]
fn a_spoiled_snapshot_is_refused() {
    let (_, snapshot, config) = samples();
    Shard::restore(config.clone(), &snapshot).unwrap();
    for end in 0..snapshot.len() {
        assert!(Shard::restore(config.clone(), &snapshot[..end]).is_err());
    }
    for at in 0..snapshot.len() {
        for change in [1, 0x80, 0xff] {
            let mut spoiled = snapshot.clone();
            spoiled[at] ^= change;
            assert!(Shard::restore(config.clone(), &spoiled).is_err(), "byte {at}");
        }
    }
    let other = ShardConfig::new(ShardId(1), 2);
    assert!(Shard::restore(other, &snapshot).is_err());
}

#[test]
fn a_count_beyond_the_input_reserves_nothing() {
    // Version 1, shard 0 of 1, then numbers as large as they come.
    for zeros in 0..40 {
        let mut bytes = vec![1, 0, 1];
        bytes.extend(core::iter::repeat_n(0, zeros));
        bytes.extend([0xff; 9]);
        bytes.push(1);
        assert!(Shard::restore(ShardConfig::new(ShardId(0), 1), &bytes).is_err());
    }
}

#[test]
fn any_bytes_are_an_entry_or_an_error() {
    bolero::check!().with_iterations(20_000).for_each(|bytes: &[u8]| {
        // As they come, and behind a head that leads into every kind.
        let kind = 1 + bytes.first().copied().unwrap_or_default() % 22;
        for bytes in [bytes.to_vec(), [&[1, kind, 0], bytes].concat()] {
            if let Ok(entry) = Entry::decode(&bytes) {
                let mut again = Vec::new();
                entry.encode(&mut again);
                assert_eq!(again, bytes);
            }
        }
    });
}

#[test]
fn any_bytes_are_a_snapshot_or_an_error() {
    bolero::check!().with_iterations(20_000).for_each(|bytes: &[u8]| {
        for bytes in [bytes.to_vec(), [&[1, 0, 1], bytes].concat()] {
            let _ = Shard::restore(ShardConfig::new(ShardId(0), 1), &bytes);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn spliced_entries_never_panic(pick in any::<(prop::sample::Index, prop::sample::Index)>(), cut in any::<prop::sample::Index>()) {
        thread_local!(static SAMPLES: Vec<Vec<u8>> = samples().0);
        SAMPLES.with(|entries| {
            let (a, b) = (pick.0.get(entries), pick.1.get(entries));
            let at = cut.index(a.len());
            let mut spliced = a[..at].to_vec();
            spliced.extend_from_slice(b.get(at..).unwrap_or_default());
            let _ = Entry::decode(&spliced);
        });
    }
}
