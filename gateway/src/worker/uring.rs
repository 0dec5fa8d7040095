//! The shell that moves bytes by io_uring: one ring a thread, receives that stay armed, sends in batches.
//!
//! A turn is: take completions, let the worker answer, queue the sends, ring the shards' bells once, and enter the
//! kernel once for everything. With `DEFER_TASKRUN` the kernel runs a socket's work inside that enter and nowhere
//! else, so that a turn is never cut by an interrupt's work (figures in `benches/RESULTS.md`).

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use io_uring::types::{Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::worker::seat::Accepted;
use crate::worker::{Admit, Worker, clock};

mod buffers;
mod socket;

use buffers::Buffers;
use socket::{Sockets, TRANSMIT_CAP};

/// Submission entries: more than a turn queues on a busy thread; when full, the ring is entered early.
const ENTRIES: u32 = 1024;
/// Completion entries: two for each of several thousand connections that fire in one turn.
const COMPLETIONS: u32 = 16 * 1024;
/// How often deadlines are looked at. Ten times a second is fine for time-outs that are seconds long.
const TICK_NS: u64 = 100_000_000;

/// Bytes read that a connection does not take: the receives that were under way when reading was taken back, and no more.
const HELD_MAX: usize = 256 * 1024;

/// Completions that end the wait of a busy turn early.
const TURN_COMPLETIONS: usize = 64;

/// What a completion belongs to; the top byte of `user_data`.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Op {
    Accept = 1,
    Bell = 2,
    Receive = 3,
    Send = 4,
    Cancel = 5,
}

fn user_data(op: Op, generation: u32, slot: u32) -> u64 {
    (op as u64) << 56 | u64::from(generation & 0x00ff_ffff) << 32 | u64::from(slot)
}

/// One net thread's ring, sockets and worker. Fields drop in order: the ring first, then the memory it uses.
pub struct Shell {
    ring: IoUring,
    buffers: Buffers,
    sockets: Sockets,
    /// Where the kernel puts the bell's counter.
    bell_count: Box<u64>,
    /// Completions of the turn at hand; kept for its memory.
    completions: Vec<cqueue::Entry>,
    listener: Option<OwnedFd>,
    worker: Worker,
    next_tick_ns: u64,
    /// How long a busy turn waits for more, microseconds; 0 where the kernel cannot.
    turn_us: u32,
    /// The last turn had more than one connection's work.
    busy: bool,
    /// Accepting waits for the next tick.
    accept_paused: bool,
}

impl Shell {
    /// Sets the ring up on the calling thread (which must be the one that runs it).
    pub fn new(worker: Worker, listener: OwnedFd, turn_us: u32) -> io::Result<Shell> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_coop_taskrun()
            .setup_submit_all()
            .setup_cqsize(COMPLETIONS)
            .build(ENTRIES)?;
        let buffers = Buffers::register(&ring)?;
        let turn_us = if ring.params().is_feature_min_timeout() {
            turn_us
        } else {
            0
        };
        let mut shell = Shell {
            turn_us,
            busy: false,
            accept_paused: false,
            ring,
            buffers,
            sockets: Sockets::default(),
            bell_count: Box::new(0),
            completions: Vec::new(),
            listener: Some(listener),
            worker,
            next_tick_ns: 0,
        };
        shell.arm_accept();
        shell.arm_bell();
        Ok(shell)
    }

    /// Runs until the worker has drained.
    pub fn run(mut self) -> io::Result<()> {
        loop {
            let now_ns = clock::now_ns();
            self.worker.begin_turn(now_ns);
            self.complete(now_ns);
            while let Some(socket) = self.worker.next_arrival() {
                self.open(socket, now_ns);
            }
            self.carry_on(now_ns);
            self.worker.replies(now_ns);
            if now_ns >= self.next_tick_ns {
                self.tick(now_ns);
                self.next_tick_ns = now_ns + TICK_NS;
            }
            while let Some(slot) = self.worker.next_dirty(now_ns) {
                self.flush(slot, now_ns);
            }
            self.worker.ring_bells();
            self.buffers.publish();
            if self.worker.is_draining() {
                self.stop_accepting();
                if self.worker.is_drained() {
                    return Ok(());
                }
            }
            self.enter(now_ns)?;
        }
    }

    /// Submits what was queued and waits for a completion, unless there is work at hand.
    fn enter(&mut self, now_ns: u64) -> io::Result<()> {
        let idle = self.sockets.deferred.is_empty() && self.ring.completion().is_empty();
        let asleep = idle && self.worker.prepare_sleep();
        let wait_ns = self.next_tick_ns.saturating_sub(now_ns).max(1);
        let timeout = Timespec::new()
            .sec(wait_ns / 1_000_000_000)
            .nsec((wait_ns % 1_000_000_000) as u32);
        let entered = if asleep && self.busy && self.turn_us > 0 {
            // More is on its way, most likely: after `turn_us` one completion is enough, before that it takes many.
            let args = SubmitArgs::new().timespec(&timeout).min_wait_usec(self.turn_us);
            self.ring.submitter().submit_with_args(TURN_COMPLETIONS, &args)
        } else if asleep {
            self.ring
                .submitter()
                .submit_with_args(1, &SubmitArgs::new().timespec(&timeout))
        } else {
            // `want` of 1 with a zero time-out runs deferred work without waiting.
            self.ring
                .submitter()
                .submit_with_args(1, &SubmitArgs::new().timespec(&Timespec::new()))
        };
        if asleep {
            self.worker.disarm();
        }
        match entered {
            Err(error)
                if !matches!(
                    error.raw_os_error(),
                    Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)
                ) =>
            {
                Err(error)
            }
            _ => Ok(()),
        }
    }

    fn complete(&mut self, now_ns: u64) {
        // Taken out first, so that what a completion causes can queue submissions.
        let mut completions = std::mem::take(&mut self.completions);
        let mut queue = self.ring.completion();
        self.worker.overflows(queue.overflow());
        completions.extend(&mut queue);
        drop(queue);
        self.busy = completions.len() > 1;
        for entry in completions.drain(..) {
            let (data, result, flags) = (entry.user_data(), entry.result(), entry.flags());
            let (generation, slot) = ((data >> 32) as u32 & 0x00ff_ffff, data as u32);
            match (data >> 56) as u8 {
                x if x == Op::Receive as u8 => self.received(slot, generation, result, flags, now_ns),
                x if x == Op::Send as u8 => self.sent(slot, generation, result),
                x if x == Op::Accept as u8 => self.accepted(result, flags, now_ns),
                x if x == Op::Bell as u8 => self.arm_bell(),
                _ => {}
            }
        }
        self.completions = completions;
    }

    fn accepted(&mut self, result: i32, flags: u32, now_ns: u64) {
        if result >= 0 {
            let socket = socket::adopt(result);
            if let Some(socket) = socket.and_then(|socket| self.worker.accept(socket, now_ns)) {
                self.open(socket, now_ns);
            }
        } else if -result != libc::ECANCELED {
            self.worker.accept_failed(-result);
        }
        if !cqueue::more(flags) && self.listener.is_some() {
            // Out of descriptors or memory: trying again at once would only spin.
            let short = [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM].contains(&-result);
            if short {
                self.accept_paused = true;
            } else {
                self.arm_accept();
            }
        }
    }

    /// The armed accept holds the socket open; shutting it down takes it out of the kernel's spread over the listeners.
    fn stop_accepting(&mut self) {
        if let Some(listener) = self.listener.take() {
            socket::shutdown(listener.as_raw_fd(), libc::SHUT_RDWR);
        }
    }

    fn open(&mut self, socket: Accepted, now_ns: u64) {
        let Some(slot) = self.worker.open(socket.peer, now_ns) else {
            return;
        };
        self.sockets.open(slot, socket.fd);
        self.arm_receive(slot);
    }

    fn received(&mut self, slot: u32, generation: u32, result: i32, flags: u32, now_ns: u64) {
        let buffer = cqueue::buffer_select(flags);
        let armed = cqueue::more(flags);
        let Some(socket) = self.sockets.get_mut(slot, generation) else {
            if let Some(id) = buffer {
                self.buffers.give_back(id);
            }
            return;
        };
        socket.receiving = armed;
        match (result, buffer) {
            (1.., Some(id)) => {
                let bytes = self.buffers.filled(id, result as usize);
                let admit = if socket.held.is_empty() {
                    self.worker.admit(slot)
                } else {
                    Admit::WhenItReads
                };
                if admit == Admit::Now {
                    self.worker.receive(slot, bytes, now_ns);
                } else {
                    socket.held.extend_from_slice(bytes);
                    let too_much = socket.held.len() > HELD_MAX;
                    if admit == Admit::NextTurn {
                        self.sockets.defer(slot);
                    }
                    if too_much {
                        self.worker.lost(slot);
                    }
                    self.worker.mark_dirty(slot);
                }
                self.buffers.give_back(id);
            }
            (0, _) => {
                socket.eof = true;
                // What came before the end is taken before the end.
                if socket.held.is_empty() {
                    self.worker.receive_eof(slot, now_ns);
                } else {
                    self.worker.mark_dirty(slot);
                }
            }
            // No buffer was free, or a cancel of ours: armed again by the flush.
            (code, _) if code == -libc::ENOBUFS || code == -libc::ECANCELED => self.worker.mark_dirty(slot),
            _ => self.worker.lost(slot),
        }
    }

    fn sent(&mut self, slot: u32, generation: u32, result: i32) {
        let Some(socket) = self.sockets.get_mut(slot, generation) else {
            return;
        };
        if result < 0 {
            socket.sending = false;
            socket.out.clear();
            self.worker.lost(slot);
            return;
        }
        socket.sent += result as usize;
        if socket.sent < socket.out.len() {
            self.push_send(slot);
        } else {
            socket.sending = false;
            socket.empty_out();
            self.worker.mark_dirty(slot);
        }
    }

    /// Bytes that waited for the handshake budget or for room in their connection.
    fn carry_on(&mut self, now_ns: u64) {
        for _ in 0..self.sockets.deferred.len() {
            let Some(slot) = self.sockets.deferred.pop_front() else {
                break;
            };
            let Some(socket) = self.sockets.at_mut(slot) else {
                continue;
            };
            socket.deferred = false;
            match self.worker.admit(slot) {
                Admit::Now => {
                    let bytes = std::mem::take(&mut socket.held);
                    let eof = socket.eof;
                    self.worker.receive(slot, &bytes, now_ns);
                    if eof {
                        self.worker.receive_eof(slot, now_ns);
                    }
                }
                Admit::NextTurn => self.sockets.defer(slot),
                Admit::WhenItReads => {}
            }
        }
    }

    /// Brings a socket in line with its connection: output is sent, reading goes on or stops, the end is carried out.
    fn flush(&mut self, slot: u32, now_ns: u64) {
        let Some(socket) = self.sockets.at_mut(slot) else {
            return;
        };
        if !socket.sending && self.worker.transmit(slot, &mut socket.out, TRANSMIT_CAP) {
            socket.sending = true;
            socket.sent = 0;
            socket.send_began_ns = now_ns;
            self.push_send(slot);
        }
        let Some(socket) = self.sockets.at_mut(slot) else {
            return;
        };
        if socket.sending {
            // A peer that reads nothing would hold the send, and with it the slot, for ever. An end in good order waits for the
            // bytes that are still on their way.
            if self.worker.is_lost(slot) {
                self.close(slot);
            } else {
                self.read_or_not(slot);
            }
            return;
        }
        if self.worker.wants_shutdown(slot) && !socket.shut {
            socket.shut = true;
            socket::shutdown(socket.fd.as_raw_fd(), libc::SHUT_WR);
        }
        if self.worker.is_closed(slot) {
            self.close(slot);
        } else {
            self.read_or_not(slot);
        }
    }

    /// Reading goes on while the connection takes bytes, and is taken back when it does not.
    fn read_or_not(&mut self, slot: u32) {
        let Some(socket) = self.sockets.at_mut(slot) else {
            return;
        };
        let (wants, generation) = (self.worker.wants_read(slot), socket.generation);
        if wants && !socket.held.is_empty() {
            self.sockets.defer(slot);
        } else if wants && !socket.receiving && !socket.eof {
            self.arm_receive(slot);
        } else if !wants && socket.receiving && !socket.cancelling {
            socket.cancelling = true;
            let entry = opcode::AsyncCancel::new(user_data(Op::Receive, generation, slot));
            self.push(entry.build().user_data(user_data(Op::Cancel, generation, slot)));
        }
    }

    /// Ten times a second: deadlines, sends that nobody takes, an accept that had run out of descriptors.
    fn tick(&mut self, now_ns: u64) {
        self.worker.tick(now_ns);
        let write_ns = self.worker.write_ns();
        for slot in self.sockets.overdue(now_ns, write_ns) {
            self.worker.lost(slot);
        }
        if std::mem::take(&mut self.accept_paused) && self.listener.is_some() {
            self.arm_accept();
        }
    }

    fn close(&mut self, slot: u32) {
        let Some(socket) = self.sockets.at_mut(slot) else {
            return;
        };
        // The descriptor stays until the kernel has let go of it; shutting it down ends the armed receive.
        if socket.receiving || socket.sending {
            if !socket.closing {
                socket.closing = true;
                socket::shutdown(socket.fd.as_raw_fd(), libc::SHUT_RDWR);
            }
            return;
        }
        self.sockets.close(slot);
        self.worker.close(slot);
    }

    fn arm_accept(&mut self) {
        let Some(fd) = self.listener.as_ref().map(AsRawFd::as_raw_fd) else {
            return;
        };
        let entry = opcode::AcceptMulti::new(Fd(fd)).flags(libc::SOCK_CLOEXEC);
        self.push(entry.build().user_data(user_data(Op::Accept, 0, 0)));
    }

    fn arm_bell(&mut self) {
        let count = std::ptr::from_mut(&mut *self.bell_count).cast::<u8>();
        let entry = opcode::Read::new(Fd(self.worker.bell_fd()), count, 8);
        self.push(entry.build().user_data(user_data(Op::Bell, 0, 0)));
    }

    fn arm_receive(&mut self, slot: u32) {
        let Some(socket) = self.sockets.at_mut(slot) else {
            return;
        };
        socket.receiving = true;
        socket.cancelling = false;
        let data = user_data(Op::Receive, socket.generation, slot);
        let entry = opcode::RecvMulti::new(Fd(socket.fd.as_raw_fd()), buffers::GROUP);
        self.push(entry.build().user_data(data));
    }

    fn push_send(&mut self, slot: u32) {
        let Some(socket) = self.sockets.at_mut(slot) else {
            return;
        };
        let rest = &socket.out[socket.sent..];
        let entry = opcode::Send::new(Fd(socket.fd.as_raw_fd()), rest.as_ptr(), rest.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .user_data(user_data(Op::Send, socket.generation, slot));
        self.push(entry);
    }

    #[allow(unsafe_code)]
    fn push(&mut self, entry: squeue::Entry) {
        loop {
            // SAFETY: what an entry points to outlives it: `out` is not touched while `sending`, `bell_count` and the
            // read buffers live as long as the shell, descriptors until their operations have completed.
            if unsafe { self.ring.submission().push(&entry) }.is_ok() {
                return;
            }
            // The queue is full: let the kernel take it. An error here shows again at the turn's own enter.
            let _ = self.ring.submit();
        }
    }
}

/// Whether this shell works here.
///
/// # Errors
/// A sentence: what is missing and the remedy.
pub fn probe() -> Result<(), String> {
    let ring = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(8).map_err(|error| {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::ENOSYS) => {
                "io_uring is blocked (sysctl kernel.io_uring_disabled=0, and a seccomp profile that allows it, open it)".to_owned()
            }
            Some(libc::ENOMEM) => "io_uring gets no locked memory (raise LimitMEMLOCK or ulimit -l to 8 MiB)".to_owned(),
            _ => format!("io_uring with DEFER_TASKRUN does not start ({error}; Linux 6.1 or newer has it)"),
        }
    })?;
    Buffers::register(&ring)
        .map_err(|error| format!("io_uring has no buffer rings ({error}; Linux 6.0 or newer)"))?;
    Ok(())
}
