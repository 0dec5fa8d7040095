//! What the keepers tell a shard thread.

use std::sync::Arc;

use tidegate_link::mesh::{Mesh, Plan};
use tidegate_node::open;

use super::harness::{SHARDS, open_config};
use crate::disk::direct::DirectWriter;
use crate::keeper::Mailbox;
use crate::os_files::OsFiles;
use crate::thread::*;

#[test]
fn a_notice_that_came_before_the_sleep_is_not_slept_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(&mut OsFiles::new(dir.path()), &open_config(1, 1), &mut |_| {}).unwrap();
    let plan = Plan {
        nets: 1,
        threads: 1,
        request_slots: 4,
        reply_slots: 8,
        peer_slots: 4,
        shard_bells_with_fd: false,
    };
    let mut mesh = Mesh::new(&plan).unwrap();
    let rings = mesh.shards.remove(0);
    let (mailbox, inbox) = Mailbox::new(Arc::clone(&rings.bell));
    let settings = Settings {
        thread: 0,
        log: opened.manifest.current().logs[0].log,
        window_us_max: 0,
        spin_us: 0,
        control_ports: 0,
    };
    let mut thread = ShardThread::new(
        settings,
        opened.nodes.remove(0),
        Box::new(DirectWriter::new(dir.path())),
        rings,
        Clock::start(opened.last_time, true).unwrap(),
        inbox,
        Keepers::for_test().0,
        Arc::new(Shared::new(vec![0; usize::from(SHARDS)].into(), 1, 4, None)),
    );
    // The inbox was read, and the thread is not asleep yet: its bell says nothing.
    mailbox.tell(Notice::CheckpointFailed);
    thread.rest();
    assert_eq!(thread.stats.sleeps.get(), 0);
    let now = thread.clock.now();
    thread.read_inbox(now);
    thread.rest();
    assert_eq!(thread.stats.sleeps.get(), 1, "it was read once");
}
