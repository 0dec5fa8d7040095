//! Lets h2 run: requests come out, bodies are collected, what the taps saw is acted on.

use super::end::Drain;
use super::stream::{Collected, Stream};
use super::tap::News;
use super::{Engine, H2, request};
use crate::context::Context;
use crate::{ExchangeId, Refusal};
use ::h2::{Reason, server};
use bytes::Bytes;
use std::future::Future;
use std::pin::Pin;
use std::task::{Poll, Waker};

/// Rounds of a pump: input, what it makes us say, and what that sets free. More only with ever new input.
const PUMP_ROUNDS: usize = 4;
/// Entries of the list of news that are kept between reads.
const NEWS_KEPT: usize = 256;

impl H2 {
    /// Lets h2 read, think and write.
    pub(super) fn pump(&mut self, context: &Context<'_>) {
        // What is done to streams here may give h2 more to write; it converges, because input is consumed.
        for _ in 0..PUMP_ROUNDS {
            if !self.has_news {
                break;
            }
            self.has_news = false;
            self.owes_window = false;
            self.given_back = 0;
            {
                let mut pipe = self.pipe.borrow_mut();
                pipe.now = context.now;
                pipe.is_blocked = false;
            }
            self.accept(context);
            self.look_at_news(context);
        }
        self.judge(context);
        // Only requests keep a connection: PINGs do not.
        let was_busy = std::mem::replace(
            &mut self.is_busy,
            !(self.streams.is_empty() && self.unsent.is_empty()),
        );
        if was_busy && !self.is_busy {
            self.idle_since = context.now;
        }
    }

    /// Advances h2 and takes the requests it found.
    pub(super) fn accept(&mut self, context: &Context<'_>) {
        let mut waker = std::task::Context::from_waker(Waker::noop());
        loop {
            match &mut self.engine {
                Engine::Handshake(handshake) => match Pin::new(&mut **handshake).poll(&mut waker) {
                    Poll::Pending => return,
                    Poll::Ready(Ok(connection)) => {
                        self.engine = Engine::Open(Box::new(connection));
                        if self.drain != Drain::No {
                            self.drain = Drain::No;
                            self.drain(context.now);
                        }
                    }
                    Poll::Ready(Err(error)) => return self.end(context, Some(error)),
                },
                Engine::Open(connection) => match connection.poll_accept(&mut waker) {
                    Poll::Pending => return,
                    Poll::Ready(None) => return self.end(context, None),
                    Poll::Ready(Some(Err(error))) => return self.end(context, Some(error)),
                    Poll::Ready(Some(Ok((request, respond)))) => self.open(context, request, respond),
                },
                Engine::Done => return,
            }
        }
    }

    pub(super) fn end(&mut self, context: &Context<'_>, error: Option<::h2::Error>) {
        if let Some(error) = error.filter(|error| !error.is_io() && !error.is_remote()) {
            let refusal = match error.reason() {
                Some(Reason::ENHANCE_YOUR_CALM) => Refusal::H2Flood,
                _ => Refusal::H2Protocol,
            };
            context.config.counters.refuse(refusal);
        }
        self.engine = Engine::Done;
        self.streams.clear();
        self.whole.clear();
        self.unanswered = 0;
        self.has_news = false;
    }

    fn open(
        &mut self,
        context: &Context<'_>,
        request: http::Request<::h2::RecvStream>,
        respond: server::SendResponse<Bytes>,
    ) {
        let id = respond.stream_id().as_u32();
        let (parts, body) = request.into_parts();
        let checked = request::check(&parts, context, &mut self.covered);
        let mut stream = Stream::new(id, parts, body, respond, self.received_at);
        self.requests += 1;
        if self.requests == context.config.limits.requests {
            self.drain(context.now);
        }
        match checked {
            Err(refusal) => self.refuse(context, id, stream, refusal),
            Ok(expects_continue) => {
                if expects_continue {
                    stream.send_continue();
                    self.has_news = true;
                }
                // Its news is in the tap: what it has of a body is taken in the order of the wire.
                self.streams.insert(id, stream);
            }
        }
    }

    /// Takes what has arrived of a body.
    fn collect(&mut self, context: &Context<'_>, news: News) {
        let Some(stream) = self.streams.get_mut(&news.stream) else {
            return;
        };
        match stream.collect(&context.config.limits) {
            Collected::Before => {}
            Collected::Waiting { released } => {
                self.owes_window |= released;
                if stream.begins_to_wait() {
                    let deadline = context.now.after(context.config.deadlines.request);
                    self.collecting.push_back((deadline, news.stream));
                    self.forget_collected();
                }
            }
            Collected::Whole { released } => {
                // h2 tells the peer at half a window: until a quarter, the next pump is soon enough.
                self.given_back += released;
                self.owes_window |=
                    self.given_back >= context.config.limits.h2_connection_window as usize / 4;
            }
            Collected::TooLarge => {
                if let Some(stream) = self.streams.remove(&news.stream) {
                    self.refuse(context, news.stream, stream, Refusal::BodyTooLarge);
                }
            }
            Collected::Broken => {
                self.streams.remove(&news.stream);
            }
        }
        if news.ended {
            self.whole.push_back(news.stream);
        }
    }

    /// Drops deadlines of requests that became whole.
    fn forget_collected(&mut self) {
        while let Some((_, id)) = self.collecting.front()
            && !self.streams.get(id).is_some_and(Stream::is_collecting)
        {
            self.collecting.pop_front();
        }
    }

    /// Acts on what the taps saw go by.
    fn look_at_news(&mut self, context: &Context<'_>) {
        let (news, reset, reset_by_us) = {
            let pipe = &mut *self.pipe.borrow_mut();
            for id in &pipe.tap_out.ended {
                if let Some(at) = self.unsent.iter().position(|(_, unsent)| unsent == id) {
                    self.unsent.remove(at);
                }
            }
            pipe.tap_out.ended.clear();
            // While h2 is blocked it has not looked at all that it read: keep the news for the next time.
            if pipe.is_blocked {
                return;
            }
            let taken = |list: &mut Vec<u32>| {
                if list.is_empty() {
                    Vec::new()
                } else {
                    std::mem::take(list)
                }
            };
            (
                std::mem::take(&mut pipe.tap_in.news),
                taken(&mut pipe.tap_in.resets),
                taken(&mut pipe.tap_out.resets),
            )
        };
        for item in &news {
            self.collect(context, *item);
        }
        self.give_back(news);
        for id in reset.into_iter().chain(reset_by_us) {
            self.forget(id);
        }
    }

    /// The list of news is filled at every read: keep its memory.
    fn give_back(&mut self, mut news: Vec<News>) {
        let mut pipe = self.pipe.borrow_mut();
        if pipe.tap_in.news.is_empty() && news.capacity() <= NEWS_KEPT {
            news.clear();
            pipe.tap_in.news = news;
        }
    }

    /// The stream was reset, by whomever.
    fn forget(&mut self, id: u32) {
        self.unsent.retain(|(_, unsent)| *unsent != id);
        if let Some(stream) = self.streams.remove(&id)
            && stream.is_handed_out()
        {
            self.unanswered -= 1;
            self.cancelled.push(ExchangeId(u64::from(id)));
        }
    }
}
