//! Fuzz of everything that reads bytes: no input panics, and none makes records out of nothing.

use super::crash::LOG;
use super::disk::Disk;
use crate::{
    BLOCK, Chains, CheckpointReader, Manifest, SegmentHeader, SegmentNumber, StartNumber, recover, verify,
};
use crate::{Position, RecoveryOptions};
use std::convert::Infallible;

const ITERATIONS: usize = 20_000;

#[test]
fn any_bytes_as_a_segment_are_read_without_a_panic() {
    bolero::check!()
        .with_iterations(ITERATIONS)
        .with_max_len(20_000)
        .for_each(|bytes: &[u8]| {
            let mut disk = Disk::default();
            disk.files.insert(SegmentNumber(1), bytes.to_vec());
            let walked = verify(&mut disk, LOG, &mut Chains::lenient());
            assert!(walked.is_err() || walked.is_ok_and(|walked| walked.records == 0));
        });
}

/// The header is sound and every CRC is made right, so that the fuzz gets behind both.
#[test]
fn any_bytes_with_sound_crcs_are_read_without_a_panic() {
    bolero::check!()
        .with_iterations(ITERATIONS)
        .with_max_len(4 * BLOCK)
        .for_each(|bytes: &[u8]| {
            let mut disk = Disk::default();
            let mut file = vec![0; 4 * BLOCK];
            let (log, start, segment) = (LOG, StartNumber(1), SegmentNumber(1));
            let header = SegmentHeader {
                log,
                start,
                segment,
                durable_upto: Position::START,
                bytes: 4 * BLOCK as u32,
            };
            let mut block = [0; BLOCK];
            header.encode(&mut block);
            file[..BLOCK].copy_from_slice(&block);
            let len = bytes.len().min(3 * BLOCK);
            file[BLOCK..BLOCK + len].copy_from_slice(&bytes[..len]);
            make_sound(&mut file);
            disk.files.insert(segment, file);
            let mut records = 0;
            let visit = |record: crate::Record<'_>| {
                assert!(record.offset as usize + record.payload.len() <= 4 * BLOCK);
                records += 1;
                Ok::<(), Infallible>(())
            };
            let _ = recover(
                &mut disk,
                LOG,
                &mut Chains::lenient(),
                RecoveryOptions::default(),
                visit,
            );
        });
}

/// Gives each block the magic, identity and CRC of a batch, and its records theirs, as far as their lengths allow.
fn make_sound(file: &mut [u8]) {
    let seed = crate::crc::Seed::new(LOG, StartNumber(1), SegmentNumber(1));
    for at in (BLOCK..file.len()).step_by(BLOCK) {
        file[at..at + 4].copy_from_slice(b"TGB1");
        file[at + 8..at + 16].copy_from_slice(&1u64.to_le_bytes());
        file[at + 16..at + 20].copy_from_slice(&1u32.to_le_bytes());
        let batch_end = at + (40 + usize::from(file[at + 24]) * 8).min(BLOCK);
        let bytes = (batch_end - at) as u32;
        file[at + 24..at + 28].copy_from_slice(&bytes.to_le_bytes());
        let mut record = at + 40;
        while record + 40 <= batch_end {
            // Short lengths mostly, so that several records fit.
            if file[record + 6] != 255 {
                file[record + 5..record + 8].fill(0);
            }
            let payload = crate::segment::u32_at(file, record + 4) as usize;
            let size = (36 + payload).next_multiple_of(8);
            if record + size > batch_end {
                break;
            }
            let crc = seed.crc(record as u32, &file[record + 4..record + size]);
            file[record..record + 4].copy_from_slice(&crc.to_le_bytes());
            record += size;
        }
        let crc = seed.crc(at as u32, &file[at + 8..at + 40]);
        file[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
    }
}

#[test]
fn any_bytes_as_a_manifest_or_a_checkpoint_are_read_without_a_panic() {
    bolero::check!()
        .with_iterations(ITERATIONS)
        .for_each(|bytes: &[u8]| {
            assert!(Manifest::decode(bytes).is_err());
            let mut body = bytes.to_vec();
            body.extend(format!("crc {:08x}\n", crate::crc::crc32c(bytes)).bytes());
            let _ = Manifest::decode(&body);
            let Ok(mut reader) = CheckpointReader::begin(bytes) else {
                return;
            };
            let mut snapshot = Vec::new();
            while let Ok(Some(_)) = reader.next(&mut snapshot) {}
        });
}
