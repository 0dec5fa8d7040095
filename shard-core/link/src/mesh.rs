//! Who meets whom: every ring and bell between the net threads and the shard threads.
//!
//! `nets * threads` request rings one way, as many reply rings back, and `threads * (threads - 1)` peer
//! rings. Each thread has one bell, rung by everyone who writes to it.

use std::io;
use std::sync::Arc;

use crate::bell::Bell;
use crate::ring::{Consumer, Producer, ring};

/// How many threads meet, and how long their rings are.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Net threads.
    pub nets: usize,
    /// Shard threads.
    pub threads: usize,
    /// Slots of each request ring.
    pub request_slots: usize,
    /// Slots of each reply ring.
    pub reply_slots: usize,
    /// Slots of each ring between two shard threads.
    pub peer_slots: usize,
    /// True when shard threads sleep in a poller and so need an eventfd; false when they park.
    pub shard_bells_with_fd: bool,
}

/// Both sides of everything, to be handed to the threads.
#[derive(Debug)]
pub struct Mesh<Q: Send, R: Send, P: Send> {
    /// One end per net thread.
    pub nets: Vec<NetEnd<Q, R>>,
    /// One end per shard thread.
    pub shards: Vec<ShardEnd<Q, R, P>>,
}

/// What a net thread holds: `Q` goes to shard threads, `R` comes back. Indexed by shard thread.
#[derive(Debug)]
pub struct NetEnd<Q: Send, R: Send> {
    /// Requests to each shard thread.
    pub to_shards: Vec<Producer<Q>>,
    /// Replies of each shard thread.
    pub from_shards: Vec<Consumer<R>>,
    /// The bells of the shard threads.
    pub shard_bells: Vec<Arc<Bell>>,
    /// This thread's own bell; it has an eventfd.
    pub bell: Arc<Bell>,
}

/// What a shard thread holds: `Q` from net threads, `R` back to them, `P` between shard threads. A thread
/// has no ring to itself: `None` at its own index.
#[derive(Debug)]
pub struct ShardEnd<Q: Send, R: Send, P: Send> {
    /// Requests of each net thread.
    pub from_nets: Vec<Consumer<Q>>,
    /// Replies to each net thread.
    pub to_nets: Vec<Producer<R>>,
    /// Messages of each other shard thread.
    pub from_peers: Vec<Option<Consumer<P>>>,
    /// Messages to each other shard thread.
    pub to_peers: Vec<Option<Producer<P>>>,
    /// The bells of the net threads.
    pub net_bells: Vec<Arc<Bell>>,
    /// The bells of all shard threads, this one's included.
    pub peer_bells: Vec<Arc<Bell>>,
    /// This thread's own bell.
    pub bell: Arc<Bell>,
}

impl<Q: Send, R: Send, P: Send> Mesh<Q, R, P> {
    /// Makes all rings and bells. Fails when the process is out of file descriptors.
    pub fn new(plan: &Plan) -> io::Result<Mesh<Q, R, P>> {
        let net_bells = (0..plan.nets)
            .map(|_| Bell::with_fd().map(Arc::new))
            .collect::<io::Result<Vec<_>>>()?;
        let shard_bells = (0..plan.threads)
            .map(|_| {
                if plan.shard_bells_with_fd {
                    Bell::with_fd()
                } else {
                    Ok(Bell::for_thread())
                }
            })
            .map(|bell| bell.map(Arc::new))
            .collect::<io::Result<Vec<_>>>()?;

        let mut nets: Vec<_> = net_bells
            .iter()
            .map(|bell| NetEnd::new(bell, &shard_bells))
            .collect();
        let mut shards: Vec<_> = shard_bells
            .iter()
            .map(|bell| ShardEnd::new(bell, &net_bells, &shard_bells))
            .collect();
        for net in &mut nets {
            for shard in &mut shards {
                let (to_shard, from_net) = ring(plan.request_slots);
                let (to_net, from_shard) = ring(plan.reply_slots);
                net.to_shards.push(to_shard);
                net.from_shards.push(from_shard);
                shard.from_nets.push(from_net);
                shard.to_nets.push(to_net);
            }
        }
        connect_peers(&mut shards, plan.peer_slots);
        Ok(Mesh { nets, shards })
    }
}

fn connect_peers<Q: Send, R: Send, P: Send>(shards: &mut [ShardEnd<Q, R, P>], slots: usize) {
    for from in 0..shards.len() {
        for to in 0..shards.len() {
            let (out, into) = if from == to {
                (None, None)
            } else {
                let (out, into) = ring(slots);
                (Some(out), Some(into))
            };
            shards[from].to_peers.push(out);
            shards[to].from_peers.push(into);
        }
    }
}

impl<Q: Send, R: Send> NetEnd<Q, R> {
    fn new(bell: &Arc<Bell>, shard_bells: &[Arc<Bell>]) -> Self {
        NetEnd {
            to_shards: Vec::new(),
            from_shards: Vec::new(),
            shard_bells: shard_bells.to_vec(),
            bell: Arc::clone(bell),
        }
    }
}

impl<Q: Send, R: Send, P: Send> ShardEnd<Q, R, P> {
    fn new(bell: &Arc<Bell>, net_bells: &[Arc<Bell>], shard_bells: &[Arc<Bell>]) -> Self {
        ShardEnd {
            from_nets: Vec::new(),
            to_nets: Vec::new(),
            from_peers: Vec::new(),
            to_peers: Vec::new(),
            net_bells: net_bells.to_vec(),
            peer_bells: shard_bells.to_vec(),
            bell: Arc::clone(bell),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn every_pair_of_threads_has_its_own_ring() {
        let plan = Plan {
            nets: 2,
            threads: 3,
            request_slots: 8,
            reply_slots: 8,
            peer_slots: 8,
            shard_bells_with_fd: false,
        };
        let mut mesh: Mesh<(usize, usize), (usize, usize), (usize, usize)> = Mesh::new(&plan).unwrap();
        for (n, net) in mesh.nets.iter_mut().enumerate() {
            for (t, ring) in net.to_shards.iter_mut().enumerate() {
                ring.push((n, t)).unwrap();
                assert!(ring.publish());
            }
        }
        for from in 0..3 {
            for to in 0..3 {
                match &mut mesh.shards[from].to_peers[to] {
                    Some(ring) => {
                        ring.push((from, to)).unwrap();
                        assert!(ring.publish());
                    }
                    None => assert_eq!(from, to),
                }
            }
        }
        for t in 0..3 {
            let shard = &mut mesh.shards[t];
            for n in 0..2 {
                assert_eq!(shard.from_nets[n].pop(), Some((n, t)));
                shard.to_nets[n].push((t, n)).unwrap();
                shard.to_nets[n].publish();
            }
            for from in (0..3).filter(|from| *from != t) {
                assert_eq!(shard.from_peers[from].as_mut().unwrap().pop(), Some((from, t)));
            }
        }
        for (n, net) in mesh.nets.iter_mut().enumerate() {
            for t in 0..3 {
                assert_eq!(net.from_shards[t].pop(), Some((t, n)));
            }
        }
    }
}
