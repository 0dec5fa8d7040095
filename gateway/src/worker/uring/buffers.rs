//! Read buffers that the kernel picks from: a ring of free buffers that all connections of a thread share.
//!
//! An idle connection thus pins no buffer at all, and a busy one needs no buffer of its own: the kernel takes a
//! buffer when bytes are there, the thread hands it back as soon as the connection has read it
//! (`IORING_REGISTER_PBUF_RING`, Linux 5.19).
#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::IoUring;
use io_uring::types::BufRingEntry;

/// The buffer group of this ring's receives.
pub const GROUP: u16 = 1;
/// Buffers of one thread: more than the completions of a turn, so that running out is rare. A power of two.
const COUNT: u16 = 512;
/// Bytes of one buffer: a request with its TLS record fits, and so do a dozen pipelined ones.
const SIZE: usize = 4096;

/// The ring of free buffers and the buffers themselves; 2 MiB, of which only touched pages cost memory.
pub struct Buffers {
    entries: NonNull<BufRingEntry>,
    bytes: NonNull<u8>,
    tail: u16,
}

/// One anonymous mapping holds the entries (page-aligned, as the kernel wants them), then the buffers.
const ENTRIES_BYTES: usize = COUNT as usize * size_of::<BufRingEntry>();
const MAP_BYTES: usize = ENTRIES_BYTES.next_multiple_of(4096) + COUNT as usize * SIZE;

impl Buffers {
    /// Maps the memory, registers it with `ring` and hands every buffer to the kernel.
    pub fn register(ring: &IoUring) -> io::Result<Buffers> {
        // SAFETY: a fresh private anonymous mapping; nothing else refers to it.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                MAP_BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if map == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let entries = NonNull::new(map.cast::<BufRingEntry>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the offset stays inside the mapping, whose size is computed from the same constants.
        let bytes =
            unsafe { NonNull::new_unchecked(map.cast::<u8>().add(ENTRIES_BYTES.next_multiple_of(4096))) };
        // SAFETY: the mapping is page-aligned, holds COUNT entries and outlives the ring: `Buffers` is dropped
        // after the ring by its owner (`Shell` declares it later).
        unsafe {
            ring.submitter()
                .register_buf_ring_with_flags(entries.as_ptr() as u64, COUNT, GROUP, 0)?;
        }
        let mut buffers = Buffers {
            entries,
            bytes,
            tail: 0,
        };
        for id in 0..COUNT {
            buffers.give_back(id);
        }
        buffers.publish();
        Ok(buffers)
    }

    /// The first `length` bytes of buffer `id`, which a completion has just named.
    pub fn filled(&self, id: u16, length: usize) -> &[u8] {
        assert!(
            id < COUNT && length <= SIZE,
            "the kernel named a buffer of its own making"
        );
        // SAFETY: in bounds by the assertion; the kernel wrote `length` bytes and will not touch the buffer until
        // `give_back` publishes it, which needs `&mut self`.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr().add(usize::from(id) * SIZE), length) }
    }

    /// Queues a buffer for the kernel; visible after [`publish`](Self::publish).
    pub fn give_back(&mut self, id: u16) {
        assert!(id < COUNT);
        let index = self.tail & (COUNT - 1);
        // SAFETY: the index is masked into the ring; the entry at the tail is ours until the tail moves past it.
        unsafe {
            let entry = &mut *self.entries.as_ptr().add(usize::from(index));
            entry.set_addr(self.bytes.as_ptr().add(usize::from(id) * SIZE) as u64);
            entry.set_len(SIZE as u32);
            entry.set_bid(id);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    /// Lets the kernel see what was given back.
    pub fn publish(&self) {
        // SAFETY: `tail` returns the address of the shared tail inside our mapping, aligned for u16; the kernel
        // reads it with acquire semantics, so a release store orders the entries before it.
        unsafe {
            let tail = BufRingEntry::tail(self.entries.as_ptr())
                .cast_mut()
                .cast::<AtomicU16>();
            (*tail).store(self.tail, Ordering::Release);
        }
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        // SAFETY: our own mapping; the ring that knew it has been closed before.
        unsafe {
            libc::munmap(self.entries.as_ptr().cast(), MAP_BYTES);
        }
    }
}
