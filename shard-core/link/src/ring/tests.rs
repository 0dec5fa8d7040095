use super::*;

#[cfg(not(loom))]
mod plain {
    use super::*;
    use std::sync::atomic::AtomicUsize as Count;

    #[test]
    fn nothing_is_seen_before_publish() {
        let (mut tx, mut rx) = ring(4);
        tx.push(1).unwrap();
        tx.push(2).unwrap();
        assert!(rx.is_empty());
        assert_eq!(tx.unpublished(), 2);
        assert!(tx.publish());
        assert!(!tx.publish());
        assert_eq!(rx.len(), 2);
        assert_eq!((rx.pop(), rx.pop(), rx.pop()), (Some(1), Some(2), None));
    }

    #[test]
    fn a_full_ring_gives_the_item_back() {
        let (mut tx, mut rx) = ring(4);
        for i in 0..4 {
            tx.push(i).unwrap();
        }
        assert_eq!(tx.push(9), Err(9));
        tx.publish();
        assert_eq!(rx.pop(), Some(0));
        assert_eq!(tx.free(), 1);
        tx.push(4).unwrap();
        tx.publish();
        let mut seen = vec![];
        assert_eq!(rx.drain(3, |item| seen.push(item)), 3);
        assert_eq!(rx.drain(9, |item| seen.push(item)), 1);
        assert_eq!(seen, [1, 2, 3, 4]);
    }

    #[test]
    fn items_left_behind_are_dropped_once() {
        static DROPS: Count = Count::new(0);
        struct Item;
        impl Drop for Item {
            fn drop(&mut self) {
                DROPS.fetch_add(1, Ordering::Relaxed);
            }
        }
        let (mut tx, mut rx) = ring(8);
        for _ in 0..6 {
            assert!(tx.push(Item).is_ok());
        }
        tx.publish();
        drop(rx.pop());
        assert!(tx.push(Item).is_ok());
        assert!(!tx.is_abandoned());
        drop(rx);
        assert!(tx.is_abandoned());
        drop(tx);
        assert_eq!(DROPS.load(Ordering::Relaxed), 7);
    }

    #[test]
    fn two_threads_keep_the_order() {
        const ITEMS: usize = 200_000;
        let (mut tx, mut rx) = ring(64);
        let writer = std::thread::spawn(move || {
            let mut next = 0;
            while next < ITEMS {
                while next < ITEMS && tx.push(Box::new(next)).is_ok() {
                    next += 1;
                }
                tx.publish();
                std::thread::yield_now();
            }
        });
        let mut expected = 0;
        while expected < ITEMS {
            let got = rx.drain(16, |item| {
                assert_eq!(*item, expected);
                expected += 1;
            });
            if got == 0 {
                std::thread::yield_now();
            }
        }
        writer.join().unwrap();
    }
}

#[cfg(loom)]
mod explored {
    use super::*;
    use loom::thread;

    #[test]
    fn a_batch_arrives_whole_and_in_order() {
        loom::model(|| {
            let (mut tx, mut rx) = ring::<Box<usize>>(2);
            let writer = thread::spawn(move || {
                for batch in [[0, 1], [2, 3]] {
                    for item in batch {
                        let mut item = Box::new(item);
                        while let Err(back) = tx.push(item) {
                            item = back;
                            thread::yield_now();
                        }
                    }
                    tx.publish();
                }
            });
            let mut expected = 0;
            while expected < 4 {
                let got = rx.drain(4, |item| {
                    assert_eq!(*item, expected);
                    expected += 1;
                });
                if got == 0 {
                    thread::yield_now();
                }
            }
            writer.join().unwrap();
        });
    }

    #[test]
    fn a_ring_dropped_from_both_sides_frees_each_item_once() {
        loom::model(|| {
            let (mut tx, mut rx) = ring::<loom::sync::Arc<()>>(4);
            let token = loom::sync::Arc::new(());
            let sent = token.clone();
            let writer = thread::spawn(move || {
                _ = tx.push(sent.clone());
                tx.publish();
                _ = tx.push(sent);
            });
            drop(rx.pop());
            drop(rx);
            writer.join().unwrap();
            assert_eq!(loom::sync::Arc::strong_count(&token), 1);
        });
    }
}
