//! The shell under monoio: a task a direction and connection, io_uring or epoll beneath.
//!
//! Where io_uring is blocked this is the portable path (monoio's epoll driver). Where it is not, `io = "monoio"` runs
//! it on monoio's io_uring driver; the comparison with [`super::uring`] is in `benches/RESULTS.md`.
//!
//! monoio has no hook at the end of a turn, and its park waits for one completion. The turn task stands in for it:
//! whoever gives the worker something wakes it, and as the run queue is first in first out it runs after every task
//! that was ready before it.
//!
//! `readable(false)`, not `true`: the epoll driver keeps a descriptor's readiness until one of its own reads finds nothing, and
//! ours are direct; relaxed, it would say "ready" for ever.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use monoio::RuntimeBuilder;
use monoio::net::{TcpListener, TcpStream, UnixStream};

use crate::worker::seat::Accepted;
use crate::worker::{Admit, Worker, clock};

/// As in the io_uring shell: deadlines are looked at ten times a second.
const TICK: Duration = Duration::from_millis(100);
/// Bytes of one read; the buffer is the thread's, so an idle connection has none.
const READ_BYTES: usize = 16 * 1024;
/// Bytes given to one write.
const TRANSMIT_CAP: usize = 64 * 1024;

/// Sockets accepted before the task waits for a moment. While connections are pending epoll's accept is ready at once, and a task
/// that never waits starves the others, the clock and with it a drain included.
const ACCEPTS: u64 = 64;
/// ... and for how long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(1);

/// Which of monoio's drivers carries the tasks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Driver {
    /// Its io_uring driver.
    Uring,
    /// Its epoll driver.
    Epoll,
}

/// Runs a net thread until its worker has drained.
pub fn run(driver: Driver, worker: Worker, listener: OwnedFd) -> io::Result<()> {
    match driver {
        Driver::Uring => {
            // monoio's default flags cost a third of the throughput: completions would interrupt the thread.
            let mut flags = io_uring_monoio::IoUring::builder();
            flags.setup_coop_taskrun().setup_single_issuer();
            let builder = RuntimeBuilder::<monoio::IoUringDriver>::new()
                .uring_builder(flags)
                .with_entries(4096);
            builder.enable_timer().build()?.block_on(serve(worker, listener))
        }
        Driver::Epoll => {
            // epoll's accept would wait in the kernel, and the thread with it; io_uring's must not be told this.
            rustix::io::ioctl_fionbio(&listener, true)?;
            RuntimeBuilder::<monoio::LegacyDriver>::new()
                .enable_timer()
                .build()?
                .block_on(serve(worker, listener))
        }
    }
}

/// A wake-up between tasks of this thread.
#[derive(Default)]
struct Notify {
    set: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Notify {
    fn notify(&self) {
        if !self.set.replace(true)
            && let Some(waker) = self.waker.borrow_mut().take()
        {
            waker.wake();
        }
    }

    async fn notified(&self) {
        poll_fn(|context| {
            if self.set.replace(false) {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// One connection's tasks, as the turn task sees them.
struct Peer {
    /// There may be output, or reading may go on.
    writer: Notify,
    reader: Notify,
    fd: RawFd,
    /// When the write under way began, nanoseconds; 0: none.
    writing_since_ns: Cell<u64>,
    /// Tasks that still use the socket; the last one frees the slot.
    tasks: Cell<u32>,
    ended: Cell<bool>,
}

struct Thread {
    worker: RefCell<Worker>,
    peers: RefCell<Vec<Option<Rc<Peer>>>>,
    turn: Notify,
    read_buffer: RefCell<Box<[u8]>>,
}

async fn serve(worker: Worker, listener: OwnedFd) -> io::Result<()> {
    let thread = Rc::new(Thread {
        worker: RefCell::new(worker),
        peers: RefCell::default(),
        turn: Notify::default(),
        read_buffer: RefCell::new(vec![0; READ_BYTES].into_boxed_slice()),
    });
    let listener = TcpListener::from_std(listener.into())?;
    let accepts = monoio::spawn(accept(Rc::clone(&thread), listener));
    monoio::spawn(bell(Rc::clone(&thread)));
    monoio::spawn(ticks(Rc::clone(&thread)));
    turns(&thread).await;
    drop(accepts);
    Ok(())
}

async fn accept(thread: Rc<Thread>, listener: TcpListener) {
    for count in 1_u64.. {
        if thread.worker.borrow().is_draining() {
            return;
        }
        if count.is_multiple_of(ACCEPTS) {
            monoio::time::sleep(ACCEPT_PAUSE).await;
        }
        match listener.accept().await {
            Ok((stream, peer)) => {
                // A copy of the descriptor crosses to another thread; the stream, which is this driver's, ends here.
                let Ok(fd) = borrow(stream.as_raw_fd()).try_clone_to_owned() else {
                    continue;
                };
                drop(stream);
                let accepted = Accepted { fd, peer };
                let kept = thread.worker.borrow_mut().accept(accepted, clock::now_ns());
                if let Some(socket) = kept {
                    open(&thread, socket);
                }
            }
            Err(error) => {
                thread
                    .worker
                    .borrow_mut()
                    .accept_failed(error.raw_os_error().unwrap_or(0));
                // Out of descriptors, most likely: trying again at once would only spin.
                monoio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

fn open(thread: &Rc<Thread>, socket: Accepted) {
    let Ok(stream) = TcpStream::from_std(socket.fd.into()) else {
        return;
    };
    let Some(slot) = thread.worker.borrow_mut().open(socket.peer, clock::now_ns()) else {
        return;
    };
    let _ = stream.set_nodelay(true);
    let peer = Rc::new(Peer {
        writer: Notify::default(),
        reader: Notify::default(),
        fd: stream.as_raw_fd(),
        writing_since_ns: Cell::new(0),
        tasks: Cell::new(2),
        ended: Cell::new(false),
    });
    let mut peers = thread.peers.borrow_mut();
    if peers.len() <= slot as usize {
        peers.resize_with(slot as usize + 1, || None);
    }
    peers[slot as usize] = Some(Rc::clone(&peer));
    let stream = Rc::new(stream);
    monoio::spawn(read(
        Rc::clone(thread),
        Rc::clone(&peer),
        Rc::clone(&stream),
        slot,
    ));
    monoio::spawn(write(Rc::clone(thread), peer, stream, slot));
}

async fn read(thread: Rc<Thread>, peer: Rc<Peer>, stream: Rc<TcpStream>, slot: u32) {
    while !peer.ended.get() {
        let admit = thread.worker.borrow_mut().admit(slot);
        if admit != Admit::Now {
            if admit == Admit::NextTurn {
                thread.worker.borrow_mut().mark_dirty(slot);
                thread.turn.notify();
            }
            peer.reader.notified().await;
            continue;
        }
        if stream.readable(false).await.is_err() || peer.ended.get() {
            break;
        }
        if !read_once(&thread, peer.fd, slot) {
            break;
        }
    }
    leave(&thread, &peer, slot);
}

/// Reads what is there; false at the peer's end.
fn read_once(thread: &Thread, fd: RawFd, slot: u32) -> bool {
    let mut buffer = thread.read_buffer.borrow_mut();
    let mut worker = thread.worker.borrow_mut();
    let now_ns = clock::now_ns();
    let result = rustix::net::recv(borrow(fd), &mut buffer[..], rustix::net::RecvFlags::DONTWAIT);
    thread.turn.notify();
    match result {
        Ok((0, _)) => {
            worker.receive_eof(slot, now_ns);
            false
        }
        Ok((length, _)) => {
            worker.receive(slot, &buffer[..length], now_ns);
            true
        }
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => true,
        Err(_) => {
            worker.lost(slot);
            false
        }
    }
}

#[allow(unsafe_code)]
fn borrow<'a>(fd: RawFd) -> BorrowedFd<'a> {
    // SAFETY: the caller's task holds the stream, and with it the descriptor, until it has returned.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

async fn write(thread: Rc<Thread>, peer: Rc<Peer>, stream: Rc<TcpStream>, slot: u32) {
    let mut out = Vec::new();
    let mut shut = false;
    loop {
        let (some, closed, shutdown) = {
            let mut worker = thread.worker.borrow_mut();
            let some = worker.transmit(slot, &mut out, TRANSMIT_CAP);
            (some, worker.is_closed(slot), worker.wants_shutdown(slot))
        };
        if some {
            peer.writing_since_ns.set(clock::now_ns());
            if send_all(&stream, peer.fd, &out).await.is_err() {
                thread.worker.borrow_mut().lost(slot);
            }
            peer.writing_since_ns.set(0);
            out.clear();
            // Room in the output may let input go on.
            thread.worker.borrow_mut().mark_dirty(slot);
            thread.turn.notify();
            continue;
        }
        if shutdown && !std::mem::replace(&mut shut, true) {
            let _ = rustix::net::shutdown(borrow(peer.fd), rustix::net::Shutdown::Write);
        }
        if closed {
            break;
        }
        peer.reader.notify();
        peer.writer.notified().await;
    }
    peer.ended.set(true);
    let _ = rustix::net::shutdown(borrow(peer.fd), rustix::net::Shutdown::Both);
    peer.reader.notify();
    leave(&thread, &peer, slot);
}

/// Sends at once what the socket takes, and waits only for the rest: an answer nearly always fits.
async fn send_all(stream: &TcpStream, fd: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    use rustix::net::SendFlags;
    while !bytes.is_empty() {
        match rustix::net::send(borrow(fd), bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(length) => bytes = &bytes[length..],
            Err(rustix::io::Errno::AGAIN) => stream.writable(false).await?,
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// A task of a connection ends; with the last one the slot is free.
fn leave(thread: &Thread, peer: &Peer, slot: u32) {
    peer.tasks.set(peer.tasks.get() - 1);
    if peer.tasks.get() == 0 {
        thread.peers.borrow_mut()[slot as usize] = None;
        thread.worker.borrow_mut().close(slot);
    }
    thread.turn.notify();
}

/// The end of each turn: replies in, answers out, one bell a shard thread.
async fn turns(thread: &Rc<Thread>) {
    loop {
        match one_turn(thread) {
            // Answers leave and sockets are read before the next. This is the runtime's main future, which is polled again at once if it
            // wakes itself; a task that wakes it runs behind all that are ready.
            Turn::Busy => {
                let behind = Rc::clone(thread);
                monoio::spawn(async move { behind.turn.notify() });
                thread.turn.notified().await;
            }
            Turn::Idle => thread.turn.notified().await,
            Turn::Drained => return,
        }
    }
}

/// What a turn left behind.
enum Turn {
    Busy,
    Idle,
    Drained,
}

fn one_turn(thread: &Rc<Thread>) -> Turn {
    open_arrivals(thread);
    let now_ns = clock::now_ns();
    let mut worker = thread.worker.borrow_mut();
    worker.begin_turn(now_ns);
    worker.replies(now_ns);
    while let Some(slot) = worker.next_dirty(now_ns) {
        if let Some(Some(peer)) = thread.peers.borrow().get(slot as usize) {
            if worker.is_lost(slot) {
                // A write that nobody takes ends with this, and its task with it.
                let _ = rustix::net::shutdown(borrow(peer.fd), rustix::net::Shutdown::Both);
            }
            peer.writer.notify();
            peer.reader.notify();
        }
    }
    worker.ring_bells();
    if worker.is_drained() {
        Turn::Drained
    } else if worker.prepare_sleep() {
        Turn::Idle
    } else {
        Turn::Busy
    }
}

/// Sockets that other threads accepted for this one.
fn open_arrivals(thread: &Rc<Thread>) {
    loop {
        let arrival = thread.worker.borrow_mut().next_arrival();
        match arrival {
            Some(socket) => open(thread, socket),
            None => return,
        }
    }
}

/// Hears the shards, and threads that give this one a socket. The descriptor is an eventfd; monoio polls any descriptor it is given as a stream.
async fn bell(thread: Rc<Thread>) {
    let fd = thread.worker.borrow().bell_fd();
    let Ok(copy) = borrow(fd).try_clone_to_owned() else {
        return;
    };
    let Ok(stream) = UnixStream::from_std(copy.into()) else {
        return;
    };
    while stream.readable(false).await.is_ok() {
        thread.worker.borrow_mut().woke();
        thread.turn.notify();
    }
}

async fn ticks(thread: Rc<Thread>) {
    loop {
        monoio::time::sleep(TICK).await;
        let now_ns = clock::now_ns();
        let mut worker = thread.worker.borrow_mut();
        worker.tick(now_ns);
        for (slot, peer) in thread.peers.borrow().iter().enumerate() {
            let since = peer.as_ref().map_or(0, |peer| peer.writing_since_ns.get());
            if since != 0 && now_ns - since > worker.write_ns() {
                worker.lost(slot as u32);
            }
        }
        drop(worker);
        thread.turn.notify();
    }
}
