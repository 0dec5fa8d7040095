//! Puts SKUs into the shards from the control side: the sample catalogue of a first start.

use std::time::{Duration, Instant};

use tidegate_host::{Answer, Event, NetPort, Request};
use tidegate_shard_core::{Command, Outcome, PutSku, SkuName, home_shard};

use crate::first_start::SampleSku;
use crate::worker::clock;

/// How long the whole catalogue may take; a thousand SKUs take milliseconds.
const TIME: Duration = Duration::from_secs(30);
/// Requests under way at once, far below the rings' credits.
const AT_ONCE: usize = 256;

/// Puts every SKU and waits until all of them are durable. Setting a SKU is idempotent: a catalogue whose filling was
/// interrupted is simply put again.
///
/// # Errors
/// A shard refused one, or did not answer in time.
pub fn put(port: &mut NetPort, skus: &[SampleSku]) -> Result<(), String> {
    let until = Instant::now() + TIME;
    let mut rest: Vec<usize> = (0..skus.len()).rev().collect();
    let mut waiting = 0;
    loop {
        while waiting < AT_ONCE
            && let Some(index) = rest.pop()
        {
            let command = command(&skus[index])?;
            let shard = home_shard(&command, port.shards());
            let request = Request {
                ticket: index as u64,
                at_ns: clock::now_ns(),
                shard,
                command,
            };
            if port.try_send(request).is_err() {
                // No credit left, or the shards do not serve any more: the time-out tells.
                rest.push(index);
                break;
            }
            waiting += 1;
        }
        if waiting == 0 && rest.is_empty() {
            return Ok(());
        }
        port.ring_bells();
        while let Some(event) = port.try_recv() {
            if let Event::Reply { ticket, answer, .. } = event {
                waiting -= 1;
                match answer {
                    Answer::Decided(Outcome::Sku(_)) => {}
                    // A busy machine: it waited too long, or the shard was not ready. Nothing was done, so once more.
                    Answer::Shed | Answer::Unavailable(_) => rest.push(ticket as usize),
                    other => {
                        return Err(format!(
                            "a shard did not take the sample catalogue: {other:?}; the next start tries again"
                        ));
                    }
                }
            }
        }
        if Instant::now() > until {
            return Err("the shards did not take the sample catalogue within 30 s; is the disk that slow? `tidegate doctor` times it. The next start goes on with it".into());
        }
        port.wait(Duration::from_millis(10));
    }
}

fn command(sku: &SampleSku) -> Result<Command, String> {
    let name = SkuName::parse(sku.sku.as_bytes()).map_err(|e| format!("{}: {e}", sku.sku))?;
    Ok(Command::PutSku(Box::new(PutSku {
        name: Some(sku.name.as_str().into()),
        price: Some(sku.price),
        currency: Some(sku.currency),
        stock: Some(sku.stock),
        buyer_limit: sku.buyer_limit.map(Some),
        ..PutSku::new(name)
    })))
}
