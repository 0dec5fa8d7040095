use super::*;

fn manifest() -> Manifest {
    let first = Layout::spread(1, &[LogId(11), LogId(12)], 6);
    let second = Layout::spread(2, &[LogId(21), LogId(22), LogId(23)], 6);
    Manifest {
        shards: 6,
        hash: "siphash-1-3/group".into(),
        store: "mysql://shop".into(),
        start: StartNumber(41),
        next_segment: SegmentNumber(9),
        layouts: vec![first, second],
    }
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let written = manifest();
    written.check().unwrap();
    assert_eq!(Manifest::decode(&written.encode()).unwrap(), written);
    assert_eq!(written.current().thread_of(4), Some(1));
    assert_eq!(written.current().thread_of(6), None);
}

#[test]
fn a_manifest_with_any_bit_flipped_or_cut_anywhere_is_damaged() {
    let bytes = manifest().encode();
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 1 << (at % 8);
        assert_eq!(Manifest::decode(&bad), Err(ManifestError::Damaged));
        assert_eq!(Manifest::decode(&bytes[..at]), Err(ManifestError::Damaged));
    }
}

#[test]
fn a_manifest_that_contradicts_itself_is_refused() {
    type Change = fn(&mut Manifest);
    let changes: [Change; 9] = [
        |m| m.shards = 0,
        |m| m.shards = 7,
        |m| m.layouts.clear(),
        |m| m.layouts[1].generation = 1,
        |m| m.layouts[1].logs[0].log = LogId(11),
        |m| m.layouts[0].logs[0].log = LogId(0),
        |m| m.layouts[0].logs[0].shards = vec![0, 2],
        |m| m.store = "two words".into(),
        |m| m.hash.clear(),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut bad = manifest();
        change(&mut bad);
        assert!(bad.check().is_err(), "change {index}");
        assert!(Manifest::decode(&bad.encode()).is_err(), "change {index}");
    }
}

#[test]
fn a_line_of_a_later_version_is_named() {
    let text = String::from_utf8(manifest().encode()).unwrap();
    let body = text[..text.len() - 13].replace("start 41", "commence 41");
    let crc = crate::crc::crc32c(body.as_bytes());
    let changed = format!("{body}crc {crc:08x}\n");
    assert_eq!(Manifest::decode(changed.as_bytes()), Err(ManifestError::Line(5)));
    let older = String::from_utf8(manifest().encode()).unwrap();
    let body = older[..older.len() - 13].replace("tidegate-manifest 2", "tidegate-manifest 1");
    let older = format!("{body}crc {:08x}\n", crate::crc::crc32c(body.as_bytes()));
    let refused = Manifest::decode(older.as_bytes()).unwrap_err();
    assert_eq!(refused, ManifestError::OtherVersion(1));
    assert!(refused.to_string().contains("format 1"), "{refused}");
}

#[test]
fn a_layout_may_leave_a_thread_without_shards() {
    let mut few = manifest();
    few.layouts = vec![Layout::spread(3, &[LogId(1), LogId(2), LogId(3), LogId(4)], 2)];
    few.shards = 2;
    assert_eq!(Manifest::decode(&few.encode()).unwrap(), few);
}
