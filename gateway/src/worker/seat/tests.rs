use std::io::Read;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::*;

fn seats_of(count: usize, hand_over: bool) -> Vec<Seat> {
    let bells = (0..count).map(|_| Arc::new(Bell::for_thread())).collect();
    seats(bells, hand_over)
}

/// An accepted socket, and its peer's end.
fn socket() -> (Accepted, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    theirs.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let accepted = Accepted {
        fd: ours.into(),
        peer: "192.0.2.1:1".parse().unwrap(),
    };
    (accepted, theirs)
}

fn is_closed(mut peer: &UnixStream) -> bool {
    matches!(peer.read(&mut [0]), Ok(0))
}

/// Thread 0 accepts `count` sockets; the others take what they are given. Returns what each thread has.
fn after_accepting(seats: &mut [Seat], count: usize) -> Vec<usize> {
    let mut open = vec![0; seats.len()];
    for _ in 0..count {
        if seats[0].give(socket().0).is_err() {
            seats[0].opened();
            open[0] += 1;
        }
        for (seat, open) in seats.iter_mut().zip(&mut open) {
            while seat.next_arrival().is_some() {
                seat.opened();
                *open += 1;
            }
        }
    }
    open
}

#[test]
fn connections_end_up_even_although_one_thread_accepts_them_all() {
    for threads in [2, 3, 8] {
        for connections in [threads, 32, 100] {
            // A margin is reached and not passed: at 32 connections two, which is one more than the others have on average.
            let open = after_accepting(&mut seats_of(threads, true), connections);
            assert_eq!(open.iter().sum::<usize>(), connections);
            let (most, least) = (open.iter().max().unwrap(), open.iter().min().unwrap());
            assert!(*most <= least + margin(*least) + 1, "{open:?}");
        }
    }
}

#[test]
fn an_even_spread_is_left_alone() {
    let seats = seats_of(3, true);
    for _ in 0..10 {
        for seat in &seats {
            assert!(seat.give(socket().0).is_err());
            seat.opened();
        }
    }
    // Of a hundred and more, a few do not matter either.
    (0..150).for_each(|_| seats.iter().for_each(Seat::opened));
    (0..10).for_each(|_| seats[0].opened());
    assert!(seats[0].give(socket().0).is_err());
    (0..10).for_each(|_| seats[0].opened());
    assert!(seats[0].give(socket().0).is_ok());
}

#[test]
fn a_thread_that_lost_its_connections_is_given_new_ones() {
    let mut seats = seats_of(2, true);
    assert_eq!(after_accepting(&mut seats, 20), [11, 9]);
    (0..9).for_each(|_| seats[1].closed());
    assert_eq!(after_accepting(&mut seats, 9), [0, 9]);
}

#[test]
fn without_hand_over_and_without_others_a_socket_stays() {
    for mut seats in [seats_of(3, false), seats_of(1, true)] {
        (0..50).for_each(|_| seats[0].opened());
        assert!(seats[0].give(socket().0).is_err());
        assert!(seats.iter_mut().all(|seat| !seat.has_arrivals()));
    }
}

#[test]
fn at_a_full_queue_the_socket_stays_and_works() {
    let mut seats = seats_of(2, true);
    (0..10 * ARRIVALS).for_each(|_| seats[0].opened());
    let peers: Vec<_> = (0..ARRIVALS)
        .map(|_| {
            let (socket, peer) = socket();
            seats[0].give(socket).unwrap();
            peer
        })
        .collect();
    let (one_more, peer) = socket();
    let back = seats[0].give(one_more).unwrap_err();
    UnixStream::from(back.fd)
        .shutdown(std::net::Shutdown::Both)
        .unwrap();
    assert!(is_closed(&peer));
    for peer in &peers {
        let arrived = seats[1].next_arrival().unwrap();
        drop(arrived);
        assert!(is_closed(peer), "in the order in which they came");
    }
    assert!(!seats[1].has_arrivals());
    // What was refused left no trace in the count: there is room again.
    assert!(seats[0].give(socket().0).is_ok());
}

#[test]
fn a_thread_that_sleeps_is_woken_for_a_socket_and_only_then() {
    let bells: Vec<_> = (0..2).map(|_| Arc::new(Bell::with_fd().unwrap())).collect();
    let seats = seats(bells.clone(), true);
    (0..3).for_each(|_| seats[0].opened());
    bells[1].prepare_sleep();
    (0..3).for_each(|_| seats[1].opened());
    assert!(seats[0].give(socket().0).is_err());
    assert!(!bells[1].wait(Some(Duration::ZERO)), "nothing came");
    (0..3).for_each(|_| seats[1].closed());
    bells[1].prepare_sleep();
    seats[0].give(socket().0).unwrap();
    assert!(bells[1].wait(Some(Duration::from_secs(5))));
}

#[test]
fn a_look_at_the_queue_takes_nothing_from_it() {
    let mut seats = seats_of(2, true);
    (0..5).for_each(|_| seats[0].opened());
    let (given, peer) = socket();
    seats[0].give(given).unwrap();
    assert!(seats[1].has_arrivals() && seats[1].has_arrivals());
    drop(seats[1].next_arrival().unwrap());
    assert!(is_closed(&peer));
    assert!(!seats[1].has_arrivals() && seats[1].next_arrival().is_none());
}

#[test]
fn what_is_on_its_way_to_a_thread_that_ends_is_closed_and_later_ones_stay() {
    let mut seats = seats_of(2, true);
    (0..9).for_each(|_| seats[0].opened());
    let given: Vec<_> = (0..3)
        .map(|_| {
            let (given, peer) = socket();
            seats[0].give(given).unwrap();
            peer
        })
        .collect();
    assert!(seats[1].has_arrivals());
    seats.truncate(1);
    assert!(given.iter().all(is_closed));
    let (late, _peer) = socket();
    assert!(seats[0].give(late).is_err());
}
