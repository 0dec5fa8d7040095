//! Exchanges between a real net thread's end and a service on a real tokio runtime.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use tidegate_lane::{
    AnswerHead, Body, Caller, Event, Head, Key, LanePort, Limits, RequestBody, RequestId, WINDOW_BYTES, lane,
};
use tidegate_link::Bell;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

type AnswerBody = UnsyncBoxBody<Bytes, Infallible>;

/// A port whose service runs on a runtime of its own, until both are dropped.
struct Lane {
    port: LanePort,
    bell: Arc<Bell>,
    runtime: Option<Runtime>,
}

impl Lane {
    fn serving<F, A>(limits: Limits, service: F) -> Lane
    where
        F: Fn(Request<Body>) -> A + Clone + Send + 'static,
        A: Future<Output = Response<AnswerBody>> + Send + 'static,
    {
        let bell = Arc::new(Bell::for_thread());
        let (mut ports, server) = lane(1, vec![Arc::clone(&bell)], limits);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let service = tower::service_fn(move |request| {
            let answer = service(request);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        runtime.spawn(server.serve(service));
        Lane {
            port: ports.pop().unwrap(),
            bell,
            runtime: Some(runtime),
        }
    }

    fn open(&mut self, body: RequestBody) -> Key {
        let place = self.port.reserve().expect("a place");
        self.port.open(place, head("/"), body).expect("it runs")
    }

    /// The next event; sleeps on the bell as a net thread does.
    fn event(&mut self) -> Event {
        self.event_within(Duration::from_secs(10))
            .expect("an event in time")
    }

    fn event_within(&mut self, time: Duration) -> Option<Event> {
        let until = Instant::now() + time;
        loop {
            if let Some(event) = self.port.try_recv() {
                return Some(event);
            }
            let left = until.checked_duration_since(Instant::now())?;
            self.bell.prepare_sleep();
            if self.port.has_events() {
                self.bell.woke();
            } else {
                self.bell.wait(Some(left));
            }
        }
    }

    fn answer(&mut self) -> (Key, Box<AnswerHead>, Bytes, bool) {
        loop {
            match self.event() {
                Event::Answer {
                    key,
                    head,
                    data,
                    ends,
                } => return (key, head, data, ends),
                Event::Taken { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

const LIMITS: Limits = Limits {
    exchanges: 8,
    running: 4,
};

fn head(target: &'static str) -> Head {
    Head {
        method: Method::GET,
        target: target.parse().unwrap(),
        headers: HeaderMap::new(),
        caller: Some(Caller {
            buyer: [7; 16],
            subject: "alice".into(),
            operator: true,
        }),
        request_id: RequestId("id-1".into()),
    }
}

fn text(status: StatusCode, body: impl Into<Bytes>) -> Response<AnswerBody> {
    let mut response = Response::new(Full::new(body.into()).boxed_unsync());
    *response.status_mut() = status;
    response
}

fn nothing() -> RequestBody {
    RequestBody::Whole(Bytes::new())
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_request_arrives_with_its_caller_its_id_and_its_body_and_a_small_answer_is_one_event() {
    let mut lane = Lane::serving(LIMITS, |request: Request<Body>| async {
        let caller = request.extensions().get::<Option<Caller>>().unwrap().clone();
        let id = request.extensions().get::<RequestId>().unwrap().0.clone();
        let target = request.uri().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let said = format!("{} {id} {target} {}", caller.unwrap().subject, body.len());
        text(StatusCode::CREATED, said)
    });
    let place = lane.port.reserve().unwrap();
    let body = RequestBody::Whole(Bytes::from_static(b"{}"));
    let key = lane.port.open(place, head("/v1/orders?limit=3"), body).unwrap();
    let (answered, head, data, ends) = lane.answer();
    assert_eq!(answered, key);
    assert_eq!(head.status, StatusCode::CREATED);
    assert_eq!(&data[..], b"alice id-1 /v1/orders?limit=3 2");
    assert_eq!((head.length, ends), (Some(31), true));
    lane.port.close(key);
    assert!(lane.port.is_empty());
}

#[test]
fn a_client_that_takes_nothing_stops_the_backoffices_stream_after_one_window() {
    const FRAME: usize = 10_000;
    const FRAMES: usize = 40;
    let polled = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polled);
    let mut lane = Lane::serving(LIMITS, move |_| {
        let polled = Arc::clone(&counted);
        let frames = stream::iter((0..FRAMES).map(move |_| {
            polled.fetch_add(1, Ordering::Relaxed);
            Ok(Frame::data(Bytes::from_static(&[b'x'; FRAME])))
        }));
        async { Response::new(StreamBody::new(frames).boxed_unsync()) }
    });
    let key = lane.open(nothing());
    let (_, head, data, ends) = lane.answer();
    assert_eq!((head.length, ends), (None, false));
    let mut arrived = data.len();
    while let Some(Event::Chunk { data, .. }) = lane.event_within(Duration::from_millis(50)) {
        arrived += data.len();
    }
    assert_eq!(
        arrived, WINDOW_BYTES,
        "no more than a window is between the sides"
    );
    assert_eq!(polled.load(Ordering::Relaxed), WINDOW_BYTES.div_ceil(FRAME));
    lane.port.took(key, arrived);
    let mut over = false;
    while !over {
        let Event::Chunk { data, ends, .. } = lane.event() else {
            panic!("a chunk")
        };
        arrived += data.len();
        over = ends;
        lane.port.took(key, data.len());
    }
    assert_eq!(arrived, FRAME * FRAMES);
}

#[test]
fn a_body_is_read_as_it_comes_and_reading_is_what_lets_the_client_send_more() {
    let (step, steps) = mpsc::unbounded_channel::<()>();
    let steps = Arc::new(tokio::sync::Mutex::new(steps));
    let mut lane = Lane::serving(LIMITS, move |request| {
        let steps = Arc::clone(&steps);
        async move {
            let mut body = request.into_body();
            let mut read = 0;
            steps.lock().await.recv().await;
            while let Some(frame) = body.frame().await {
                read += frame.unwrap().into_data().unwrap().len();
            }
            text(StatusCode::OK, read.to_string())
        }
    });
    let key = lane.open(RequestBody::Parts(None));
    // Far more pieces than there are places for parts on their way: they are put together.
    for _ in 0..1000 {
        lane.port.send(key, &[b'y'; 50], false);
    }
    let silence = lane.event_within(Duration::from_millis(50));
    assert!(silence.is_none(), "nothing was read yet: {silence:?}");
    step.send(()).unwrap();
    let mut taken = 0;
    while taken < 50_000 {
        let Event::Taken { bytes, .. } = lane.event() else {
            panic!("a grant")
        };
        taken += bytes;
    }
    assert_eq!(taken, 50_000);
    lane.port.send(key, b"the end", true);
    let (_, _, data, _) = lane.answer();
    assert_eq!(&data[..], b"50007");
}

#[test]
fn a_body_that_breaks_is_an_error_to_whoever_reads_it_and_never_a_shorter_body() {
    let (read, mut outcomes) = mpsc::unbounded_channel();
    let mut lane = Lane::serving(LIMITS, move |request| {
        let read = read.clone();
        async move {
            // A task of its own goes on when the exchange is cancelled.
            let task = tokio::spawn(async move {
                let body = request.into_body().collect().await;
                let _ = read.send(body.map(|body| body.to_bytes()));
            });
            let _ = task.await;
            text(StatusCode::OK, "")
        }
    });
    let key = lane.open(RequestBody::Parts(Some(10)));
    lane.port.send(key, b"half", false);
    assert!(matches!(lane.event(), Event::Taken { bytes: 4, .. }));
    lane.port.close(key);
    let outcome = outcomes.blocking_recv().unwrap();
    assert!(outcome.is_err(), "{outcome:?}");
}

#[test]
fn a_cancelled_exchange_ends_at_the_service_and_only_then_is_its_place_free() {
    struct Running(Arc<AtomicUsize>);
    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }
    let running = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&running);
    let mut lane = Lane::serving(LIMITS, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&counted));
        async move {
            let _running = running;
            std::future::pending().await
        }
    });
    let keys: Vec<Key> = (0..LIMITS.exchanges).map(|_| lane.open(nothing())).collect();
    assert!(lane.port.reserve().is_none(), "as many as may be are under way");
    until("as many run as may", || {
        running.load(Ordering::SeqCst) == LIMITS.running
    });
    for key in keys {
        lane.port.close(key);
    }
    until("no service is left running", || {
        running.load(Ordering::SeqCst) == 0
    });
    until("the places are free again", || {
        let places: Vec<_> = (0..LIMITS.exchanges).map_while(|_| lane.port.reserve()).collect();
        places.len() == LIMITS.exchanges
    });
    assert!(lane.event_within(Duration::from_millis(20)).is_none());
}

#[test]
fn a_service_that_panics_breaks_its_own_exchange_and_no_other() {
    let mut lane = Lane::serving(LIMITS, |request: Request<Body>| async move {
        assert!(request.uri().path() != "/panic", "planted");
        text(StatusCode::OK, "fine")
    });
    let place = lane.port.reserve().unwrap();
    let key = lane.port.open(place, head("/panic"), nothing()).unwrap();
    assert!(matches!(lane.event(), Event::Broke { key: broken } if broken == key));
    lane.open(nothing());
    assert_eq!(&lane.answer().2[..], b"fine");
}

#[test]
fn a_slow_reader_of_an_answer_holds_no_turn_of_the_service() {
    let limits = Limits {
        exchanges: 8,
        running: 1,
    };
    let mut lane = Lane::serving(limits, |request: Request<Body>| async move {
        match request.uri().path() {
            "/long" => text(StatusCode::OK, vec![b'z'; 3 * WINDOW_BYTES]),
            _ => text(StatusCode::OK, "short"),
        }
    });
    let place = lane.port.reserve().unwrap();
    lane.port.open(place, head("/long"), nothing()).unwrap();
    let (_, _, data, ends) = lane.answer();
    assert_eq!((data.len(), ends), (WINDOW_BYTES, false));
    lane.open(nothing());
    assert_eq!(&lane.answer().2[..], b"short");
}

#[test]
fn when_the_runtime_ends_the_port_knows() {
    let mut lane = Lane::serving(LIMITS, |_| std::future::pending());
    lane.open(nothing());
    assert!(!lane.port.is_gone());
    lane.runtime.take().unwrap().shutdown_background();
    until("it is gone", || lane.port.is_gone());
    let place = lane.port.reserve().unwrap();
    assert!(lane.port.open(place, head("/"), nothing()).is_err());
    assert_eq!(lane.port.len(), 1, "what was under way is for its owner to close");
}

#[test]
fn thousands_of_exchanges_of_two_net_threads_are_each_answered_once() {
    const EACH: usize = 2000;
    let bells = vec![Arc::new(Bell::for_thread()), Arc::new(Bell::for_thread())];
    let limits = Limits {
        exchanges: 64,
        running: 16,
    };
    let (ports, server) = lane(2, bells.clone(), limits);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.spawn(
        server.serve(tower::service_fn(|request: Request<Body>| async move {
            let body = request.into_body().collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(text(StatusCode::OK, body))
        })),
    );
    let threads: Vec<_> = ports
        .into_iter()
        .zip(bells)
        .map(|(port, bell)| std::thread::spawn(move || ask_many(port, bell, EACH)))
        .collect();
    let answered: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(answered, 2 * EACH);
}

/// Asks as many times as it is told to, several at once, and checks that each answer is to its own request.
fn ask_many(port: LanePort, bell: Arc<Bell>, count: usize) -> usize {
    let mut lane = Lane {
        port,
        bell,
        runtime: None,
    };
    let mut asked = std::collections::HashMap::new();
    let (mut next, mut answered) = (0, 0);
    while answered < count {
        while next < count
            && let Some(place) = lane.port.reserve()
        {
            let body = RequestBody::Whole(next.to_string().into());
            let key = lane.port.open(place, head("/"), body).unwrap();
            assert!(asked.insert(key, next.to_string()).is_none());
            next += 1;
        }
        // A place that the other thread has just freed rings nobody's bell: look again soon.
        if let Some(event) = lane.event_within(Duration::from_millis(1)) {
            let Event::Answer {
                key,
                data,
                ends: true,
                ..
            } = event
            else {
                panic!("{event:?}")
            };
            assert_eq!(&data[..], asked.remove(&key).unwrap().as_bytes());
            lane.port.close(key);
            answered += 1;
        }
    }
    answered
}
