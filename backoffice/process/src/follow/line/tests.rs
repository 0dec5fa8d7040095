use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tidegate_follow::Parted;
use tokio::sync::Semaphore;

use super::*;

/// What the sink does with the next batch.
enum Fate {
    Fails,
    Ends,
    Parts(u16),
}

/// A batch by shard and op.
type Ops = Vec<(u16, u64)>;

#[derive(Default)]
struct Scripted {
    fates: VecDeque<Fate>,
    /// Batches that came.
    came: Arc<Mutex<Vec<Ops>>>,
}

impl Sink for Scripted {
    fn take_in(&mut self, batch: &[Record]) -> Result<(), StoreError<SinkFault>> {
        let ops = batch.iter().map(|record| (record.shard, record.op)).collect();
        self.came.lock().unwrap().push(ops);
        let fault = |ends| {
            Err(StoreError::Failed(SinkFault {
                line: "no broker".into(),
                kind: "test",
                ends,
            }))
        };
        match self.fates.pop_front() {
            None => Ok(()),
            Some(Fate::Fails) => fault(false),
            Some(Fate::Ends) => fault(true),
            Some(Fate::Parts(shard)) => Err(StoreError::Parted(Parted::Gap {
                have: Mark {
                    shard,
                    ..Mark::default()
                },
                op: 9,
            })),
        }
    }
}

fn record(shard: u16, op: u64) -> Record {
    Record {
        shard,
        op,
        previous: op - 1,
        chain: op,
        payload: vec![0; 10].into(),
    }
}

fn chunk(records: &[(u16, u64)], window: &Arc<Semaphore>) -> Chunk {
    let place = Arc::clone(window).try_acquire_many_owned(10 * records.len() as u32);
    Chunk {
        records: records.iter().map(|(shard, op)| record(*shard, *op)).collect(),
        place: place.ok(),
        came: Instant::now(),
    }
}

struct Ran {
    batches: Vec<Ops>,
    said: Vec<Said>,
    end: Result<(), Status>,
    metrics: FeedMetrics,
}

/// Lets the thread's loop go over some chunks; all are there when it begins.
fn run(fates: impl IntoIterator<Item = Fate>, chunks: Vec<Chunk>, ending: &CancellationToken) -> Ran {
    let mut sink = Scripted {
        fates: fates.into_iter().collect(),
        ..Scripted::default()
    };
    let came = Arc::clone(&sink.came);
    let metrics = FeedMetrics::default();
    let (send, coming) = mpsc::channel(CHUNKS);
    let (say, mut said) = mpsc::channel(SAID);
    for chunk in chunks {
        send.try_send(chunk).unwrap();
    }
    drop(send);
    let publisher = Publisher {
        sink: &mut sink,
        applies: false,
        say: &say,
        metrics: &metrics,
        ending,
        rest_max: Duration::from_millis(1),
        stopped: BTreeSet::new(),
    };
    let end = publisher.run(coming);
    drop(say);
    let mut heard = Vec::new();
    while let Some(one) = said.blocking_recv() {
        heard.push(one);
    }
    Ran {
        batches: std::mem::take(&mut *came.lock().unwrap()),
        said: heard,
        end,
        metrics,
    }
}

fn ops(said: &Said) -> Ops {
    match said {
        Said::Published(marks) => marks.iter().map(|mark| (mark.shard, mark.op)).collect(),
        other => panic!("not published: {other:?}"),
    }
}

#[test]
fn what_came_meanwhile_is_one_batch_and_its_marks_are_the_last_of_each_shard() {
    let window = Arc::new(Semaphore::new(1000));
    let chunks = vec![chunk(&[(0, 1), (1, 1)], &window), chunk(&[(0, 2)], &window)];
    assert_eq!(window.available_permits(), 970);
    let ran = run([], chunks, &CancellationToken::new());
    assert_eq!(ran.batches, [vec![(0, 1), (1, 1), (0, 2)]]);
    assert_eq!(ops(&ran.said[0]), [(0, 2), (1, 1)]);
    assert_eq!(
        window.available_permits(),
        1000,
        "the edge may send as much again"
    );
    assert!(ran.end.is_ok());
}

#[test]
fn a_batch_that_failed_is_handed_in_again_whole_until_it_is_taken() {
    let window = Arc::new(Semaphore::new(1000));
    let chunks = vec![chunk(&[(0, 1), (1, 1)], &window)];
    let ran = run([Fate::Fails, Fate::Fails], chunks, &CancellationToken::new());
    assert_eq!(ran.batches, vec![vec![(0, 1), (1, 1)]; 3]);
    assert_eq!(ran.said.len(), 1);
    assert_eq!(ran.metrics.published.get(), 2);
}

#[test]
fn a_shard_that_cannot_be_followed_stops_alone_and_stays_stopped() {
    let window = Arc::new(Semaphore::new(100_000));
    let first: Ops = (1..=BATCH_RECORDS_MAX as u64).map(|op| (0, op)).collect();
    let chunks = vec![
        chunk(&[(1, 1)], &window),
        chunk(&first, &window),
        chunk(&[(1, 2), (0, 5000)], &window),
    ];
    let ran = run([Fate::Parts(1)], chunks, &CancellationToken::new());
    assert!(matches!(&ran.said[0], Said::Stop { shard: 1, why } if why.contains("shard 1")));
    assert!(
        ran.batches[1..].iter().flatten().all(|(shard, _)| *shard == 0),
        "nothing of it goes on"
    );
    assert_eq!(ops(ran.said.last().unwrap()), [(0, 5000)]);
    assert!(ran.end.is_ok());
}

#[test]
fn a_bus_that_is_over_ends_the_stream_and_nothing_is_said_to_be_published() {
    let window = Arc::new(Semaphore::new(1000));
    let ran = run(
        [Fate::Ends],
        vec![chunk(&[(0, 1)], &window)],
        &CancellationToken::new(),
    );
    assert_eq!(ran.end.unwrap_err().message(), "no broker");
    assert!(ran.said.is_empty());
}

#[test]
fn a_stream_that_ends_waits_for_no_broker_and_begins_no_further_batch() {
    let window = Arc::new(Semaphore::new(1000));
    let ending = CancellationToken::new();
    let fates = (0..1_000_000).map(|_| Fate::Fails);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            ending.cancel();
        });
        let ran = run(fates, vec![chunk(&[(0, 1)], &window)], &ending);
        assert!(ran.end.is_ok() && ran.said.is_empty());
    });
    let ran = run([], vec![chunk(&[(0, 1)], &window)], &ending);
    assert!(ran.batches.is_empty());
}
