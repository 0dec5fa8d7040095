//! The sockets of one thread, by the worker's slot numbers, and what the kernel is doing with each.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use crate::worker::seat::Accepted;

/// Bytes handed to the kernel in one send: a handful of full TLS records.
pub const TRANSMIT_CAP: usize = 64 * 1024;
/// Output buffers that grew past this are given up once sent, so that one large answer does not stay.
const KEEP_CAPACITY: usize = 4096;

/// One connection's socket.
pub struct Socket {
    pub fd: OwnedFd,
    /// Completions of a former socket of this slot carry another generation.
    pub generation: u32,
    /// A multishot receive is armed.
    pub receiving: bool,
    /// ... and its cancel is on the way.
    pub cancelling: bool,
    /// A send is in the kernel's hands, and with it `out`.
    pub sending: bool,
    pub shut: bool,
    pub closing: bool,
    /// Whether the slot is in the deferred queue.
    pub deferred: bool,
    pub out: Vec<u8>,
    pub sent: usize,
    /// When the send that is under way began.
    pub send_began_ns: u64,
    /// The peer's end was read, perhaps behind held bytes.
    pub eof: bool,
    /// Bytes read that the connection has not taken yet.
    pub held: Vec<u8>,
}

/// Sockets by slot.
#[derive(Default)]
pub struct Sockets {
    sockets: Vec<Option<Socket>>,
    generations: Vec<u32>,
    /// Slots with held bytes, first come first served.
    pub deferred: VecDeque<u32>,
}

impl Sockets {
    /// Puts a socket into the worker's slot.
    pub fn open(&mut self, slot: u32, fd: OwnedFd) {
        let index = slot as usize;
        if index >= self.sockets.len() {
            self.sockets.resize_with(index + 1, || None);
            self.generations.resize(index + 1, 0);
        }
        assert!(
            self.sockets[index].is_none(),
            "the worker hands out free slots only"
        );
        self.generations[index] = self.generations[index].wrapping_add(1) & 0x00ff_ffff;
        self.sockets[index] = Some(Socket {
            fd,
            generation: self.generations[index],
            receiving: false,
            cancelling: false,
            sending: false,
            shut: false,
            closing: false,
            deferred: false,
            out: Vec::new(),
            sent: 0,
            send_began_ns: 0,
            eof: false,
            held: Vec::new(),
        });
    }

    /// The socket of a completion, if it is still the same one.
    pub fn get_mut(&mut self, slot: u32, generation: u32) -> Option<&mut Socket> {
        self.at_mut(slot).filter(|s| s.generation == generation)
    }

    /// The socket in a slot.
    pub fn at_mut(&mut self, slot: u32) -> Option<&mut Socket> {
        self.sockets.get_mut(slot as usize)?.as_mut()
    }

    /// Queues a slot whose bytes must wait.
    pub fn defer(&mut self, slot: u32) {
        if let Some(socket) = self.at_mut(slot)
            && !std::mem::replace(&mut socket.deferred, true)
        {
            self.deferred.push_back(slot);
        }
    }

    /// Slots whose send has been in the kernel's hands for longer than `write_ns`.
    pub fn overdue(&self, now_ns: u64, write_ns: u64) -> Vec<u32> {
        let sockets = self.sockets.iter().enumerate();
        let late = |socket: &Socket| socket.sending && now_ns.saturating_sub(socket.send_began_ns) > write_ns;
        sockets
            .filter(|(_, socket)| socket.as_ref().is_some_and(late))
            .map(|(slot, _)| slot as u32)
            .collect()
    }

    /// Closes the descriptor and frees the slot.
    pub fn close(&mut self, slot: u32) {
        if let Some(socket) = self.sockets.get_mut(slot as usize) {
            *socket = None;
        }
    }
}

impl Socket {
    /// Everything was sent. The buffer is kept for the next answer, unless a large one grew it.
    pub fn empty_out(&mut self) {
        self.sent = 0;
        if self.out.capacity() > KEEP_CAPACITY {
            self.out = Vec::new();
        } else {
            self.out.clear();
        }
    }
}

/// Takes over an accepted descriptor: its peer is asked for and small answers leave at once (`TCP_NODELAY`). `None`: the peer is
/// gone again.
pub fn adopt(fd: RawFd) -> Option<Accepted> {
    // SAFETY: the kernel has just given us this descriptor; nobody else owns it.
    let stream = unsafe { std::net::TcpStream::from_raw_fd(fd) };
    let peer = stream.peer_addr().ok()?;
    let _ = stream.set_nodelay(true);
    Some(Accepted {
        fd: stream.into(),
        peer,
    })
}

/// `shutdown(2)`; a socket that is gone already is fine.
pub fn shutdown(fd: RawFd, how: i32) {
    // SAFETY: a plain system call on a descriptor that the caller holds.
    unsafe {
        libc::shutdown(fd.as_raw_fd(), how);
    }
}
