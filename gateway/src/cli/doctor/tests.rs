use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use super::adjtimex::Discipline;
use super::report::Verdict::{self, Fail, Ok as Fine, Warn};
use super::*;
use crate::config::checked::Writer;

const HOUR_MS: u64 = 3_600_000;

/// A check that is not ok says what is wrong and what to do.
fn verdict(check: &Check) -> Verdict {
    let is_ok = check.verdict == Fine;
    assert_eq!(check.wrong.is_empty(), is_ok, "{check}");
    assert_eq!(check.remedy.is_empty(), is_ok, "{check}");
    check.verdict
}

#[test]
fn a_report_is_a_line_a_check_whatever_a_name_holds_and_counts_what_failed() {
    let report = Report {
        checks: vec![
            Check::ok("one", "fine"),
            Check::warn("two", "a\nok    three", "slow", "do this"),
            Check::fail("four", "x", "broken", "do that"),
        ],
    };
    let text = report.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[1], "warn  two             a ok    three: slow; do this");
    assert_eq!(lines[2], "FAIL  four            x: broken; do that");
    assert_eq!(lines[4], "1 ok, 1 to look at, 1 that must be put right");
    let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
    assert_eq!((&json["fail"], &json["warn"]), (&1.into(), &1.into()));
    assert_eq!(json["checks"][2]["verdict"], "fail");
    assert_eq!(json["checks"][2]["remedy"], "do that");
}

#[test]
fn an_old_kernel_is_warned_of() {
    for (release, expected) in [
        ("5.15.0-91-generic", Warn),
        ("6.0.9", Warn),
        ("6.1.0-13-amd64", Fine),
        ("10.0", Fine),
        ("odd", Fine),
    ] {
        assert_eq!(verdict(&uring::judge_kernel(release)), expected, "{release}");
    }
}

#[test]
fn limits_are_held_against_the_configuration() {
    for (limit, connections, expected) in [
        (None, 1 << 20, Fine),
        (Some(1024), 16_384, Warn),
        (Some(16_384), 16_384, Warn),
        (Some(17_000), 16_384, Fine),
    ] {
        assert_eq!(
            verdict(&limits::judge_open_files(limit, connections)),
            expected,
            "{limit:?}"
        );
    }
    for (limit, writer, threads, expected) in [
        (None, Writer::Glommio, 8, Fine),
        (Some(64 << 10), Writer::Auto, 8, Fine),
        (Some(512 << 10), Writer::Glommio, 1, Fine),
        (Some(512 << 10), Writer::Glommio, 2, Warn),
    ] {
        assert_eq!(
            verdict(&limits::judge_locked_memory(limit, writer, threads)),
            expected,
            "{limit:?}"
        );
    }
}

#[test]
fn settings_of_the_kernel_are_read_as_they_are_written() {
    assert_eq!(
        verdict(&memory::judge_huge_pages("[always] madvise never\n")),
        Warn
    );
    assert_eq!(
        verdict(&memory::judge_huge_pages("always [madvise] never\n")),
        Fine
    );
    assert_eq!(verdict(&memory::judge_huge_pages("")), Fine);
    let swap = |total, free| {
        memory::judge_swap(&format!(
            "MemTotal: 9 kB\nSwapTotal:  {total} kB\nSwapFree: {free} kB\n"
        ))
    };
    assert_eq!(verdict(&swap(0, 0)), Fine);
    assert_eq!(verdict(&swap(4096, 4096)), Fine);
    assert_eq!(verdict(&swap(4096, 1024)), Warn);
    assert_eq!(verdict(&network::judge_somaxconn(Some(128))), Warn);
    assert_eq!(verdict(&network::judge_somaxconn(Some(4096))), Fine);
    assert_eq!(verdict(&network::judge_migrate(Some(0), 2)), Warn);
    assert_eq!(verdict(&network::judge_migrate(Some(0), 1)), Fine);
    assert_eq!(cores::quota_of("50000 100000\n"), Some(0.5));
    assert_eq!(cores::quota_of("max 100000\n"), None);
}

#[test]
fn the_deepest_mount_is_the_one_a_directory_lies_on() {
    let table = "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n\
                 30 22 254:2 / /var/lib rw,noatime shared:5 - xfs /dev/vdb rw\n\
                 31 22 254:3 / /var/library rw - btrfs /dev/vdc rw\n\
                 32 22 0:44 / /my\\040disk rw - tmpfs none rw\n";
    for (path, kind) in [
        ("/var/lib/tidegate", "xfs"),
        ("/var/library", "btrfs"),
        ("/var/librarian", "ext4"),
        ("/my disk/a", "tmpfs"),
    ] {
        assert_eq!(mounts::find(table, Path::new(path)).unwrap().kind, kind, "{path}");
    }
    for (kind, expected) in [
        ("ext4", Fine),
        ("tmpfs", Warn),
        ("overlay", Warn),
        ("nfs4", Warn),
        ("fuse.sshfs", Warn),
    ] {
        assert_eq!(
            verdict(&disk::judge_kind(kind, kind.to_owned())),
            expected,
            "{kind}"
        );
    }
}

#[test]
fn free_space_is_held_against_what_the_log_may_become() {
    const GIB: u64 = 1 << 30;
    for (free, log, expected) in [
        (20 * GIB, 0, Fine),
        (1 << 20, 8 * GIB, Fine),
        (GIB, GIB, Warn),
        (1 << 20, 0, Fail),
    ] {
        assert_eq!(
            verdict(&disk::judge_space(free, log, 8 * GIB, 32 << 20)),
            expected,
            "{free} {log}"
        );
    }
}

#[test]
fn a_sync_time_is_judged_by_what_orders_wait_and_by_whether_it_can_be_true() {
    let sync = |p50_us: u64, p99_us: u64| {
        let times: Vec<_> = (0..100)
            .map(|n| Duration::from_micros(if n < 95 { p50_us } else { p99_us }))
            .collect();
        disk::judge_sync(&times, Duration::from_millis(50))
    };
    assert_eq!(verdict(&sync(80, 300)), Fine);
    assert!(
        sync(80, 300)
            .found
            .contains("12500 syncs/s, some 250000 orders/s"),
        "{}",
        sync(80, 300)
    );
    assert_eq!(verdict(&sync(5, 9)), Warn);
    assert_eq!(verdict(&sync(80, 20_000)), Warn);
    assert_eq!(verdict(&sync(60_000, 90_000)), Fail);
    assert_eq!(verdict(&disk::judge_sync(&[], Duration::from_millis(50))), Warn);
}

#[test]
fn the_disk_is_measured_and_no_file_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let measured = disk::measure(folder.path(), 3).unwrap();
    assert_eq!(measured.times.len(), 3);
    assert!(measured.times.iter().all(|time| !time.is_zero()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // Where files must have a name.
    let file = disk::unlinked(folder.path(), rustix::fs::OFlags::empty()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    std::io::Write::write_all(&mut &file, b"written all the same").unwrap();
}

#[test]
fn a_clock_is_judged_by_its_service_and_by_the_log() {
    let kept = |synchronised, error_us_max| {
        Some(Discipline {
            synchronised,
            error_us_max,
        })
    };
    assert_eq!(verdict(&clock::judge_discipline(kept(true, 900))), Fine);
    assert_eq!(verdict(&clock::judge_discipline(kept(true, 2_000_000))), Warn);
    assert_eq!(verdict(&clock::judge_discipline(kept(false, 0))), Warn);
    assert_eq!(verdict(&clock::judge_discipline(None)), Fine);

    let wall_ms = 1_000 * HOUR_MS;
    let jump = |last_ms, allowed| verdict(&clock::judge_jump(wall_ms * 1_000_000, last_ms, allowed));
    assert_eq!(jump(wall_ms - 23 * HOUR_MS, false), Fine);
    assert_eq!(jump(wall_ms - 25 * HOUR_MS, false), Fail);
    assert_eq!(jump(wall_ms - 25 * HOUR_MS, true), Fine);
    assert_eq!(jump(wall_ms + HOUR_MS, false), Warn);
}

#[test]
fn a_certificate_says_how_long_it_is_good() {
    let mut params = rcgen::CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2025, 3, 1);
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = params.self_signed(&key).unwrap().der().clone();
    let begins = 1_735_689_600;
    let day = 86_400;
    for (now, expected) in [
        (begins - day, Fail),
        (begins + day, Fine),
        (begins + 50 * day, Warn),
        (begins + 60 * day, Fail),
    ] {
        let check = certificate::judge("c.pem", &leaf, now);
        assert_eq!(verdict(&check), expected, "{check}");
        assert!(check.found.contains("shop.example"), "{check}");
    }
    assert!(
        certificate::judge("c.pem", &leaf, begins + 50 * day)
            .found
            .contains("9 days left")
    );
    assert!(
        certificate::judge("c.pem", &leaf, begins + 60 * day)
            .wrong
            .contains("1 days ago")
    );
}

#[test]
fn secrets_that_others_can_read_are_named_with_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let (tight, loose) = (folder.path().join("tight"), folder.path().join("loose"));
    for (path, mode) in [(&tight, 0o600), (&loose, 0o640)] {
        std::fs::write(path, "secret").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    assert_eq!(verdict(&keys::secrecy(std::slice::from_ref(&tight))), Fine);
    let check = keys::secrecy(&[tight, loose.clone()]);
    assert_eq!(verdict(&check), Warn);
    assert_eq!(check.remedy, format!("chmod 600 {}", loose.display()));
}

#[test]
fn listeners_are_read_from_the_kernels_tables() {
    let four = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 45678 1 0 100";
    let six = "   1: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 9 1";
    let connected = four.replace(" 0A ", " 01 ");
    let parsed = sockets::parse(four).unwrap();
    assert_eq!(
        (parsed.address.to_string().as_str(), parsed.inode),
        ("127.0.0.1:8080", 45_678)
    );
    assert_eq!(sockets::parse(six).unwrap().address.to_string(), "[::]:443");
    assert_eq!(sockets::parse(&connected), None);
    assert_eq!(
        sockets::parse("  sl  local_address rem_address   st tx_queue"),
        None
    );

    let collide = |there: &str, wanted: &str| {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        sockets::collide(address(there), address(wanted))
    };
    assert!(collide("127.0.0.1:1", "127.0.0.1:1"));
    assert!(collide("0.0.0.0:1", "127.0.0.1:1"));
    assert!(collide("127.0.0.1:1", "0.0.0.0:1"));
    assert!(collide("[::]:1", "127.0.0.1:1"));
    assert!(!collide("0.0.0.0:1", "[::1]:1"));
    assert!(!collide("127.0.0.1:1", "127.0.0.2:1"));
    assert!(!collide("127.0.0.1:1", "127.0.0.1:2"));
}

#[test]
fn a_port_that_is_taken_names_who_holds_it() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let check = port::port("port", "--listen", address, Holder::Nobody);
    assert_eq!(verdict(&check), Fail);
    assert!(
        check.wrong.contains(&format!("(pid {})", std::process::id())),
        "{check}"
    );
    let running = Holder::Process(Some(std::process::id()));
    assert_eq!(verdict(&port::port("port", "--listen", address, running)), Fine);
    drop(listener);
    assert_eq!(
        verdict(&port::port("port", "--listen", address, Holder::Nobody)),
        Fine
    );
    let hidden = port::judge_taken("port", "--listen", address, None, Holder::Process(None));
    assert_eq!(verdict(&hidden), Fail);
}

#[test]
fn an_admin_address_that_others_reach_is_warned_of() {
    for (address, expected) in [
        ("127.0.0.1:9901", Fine),
        ("[::1]:9901", Fine),
        ("0.0.0.0:9901", Warn),
        ("10.0.0.7:9901", Warn),
    ] {
        assert_eq!(
            verdict(&port::admin_reach(address.parse().unwrap())),
            expected,
            "{address}"
        );
    }
}

#[test]
fn a_lock_is_seen_without_being_taken() {
    let line = "1: FLOCK  ADVISORY  WRITE 1234 fe:00:5678 0 EOF";
    assert_eq!(data::flock_of(line, 5678), Some(1234));
    assert_eq!(data::flock_of(line, 78), None);
    assert_eq!(data::flock_of(&line.replace("FLOCK", "POSIX"), 5678), None);

    let folder = tempfile::tempdir().unwrap();
    assert_eq!(Holder::of(folder.path()), Holder::Nobody);
    let file = std::fs::File::create(folder.path().join("LOCK")).unwrap();
    assert_eq!(Holder::of(folder.path()), Holder::Nobody);
    rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(
        Holder::of(folder.path()),
        Holder::Process(Some(std::process::id()))
    );
}

#[test]
fn a_data_directory_is_judged_by_owner_rights_and_manifest() {
    assert_eq!(verdict(&data::judge_rights("d", 7, 0o40700, 7)), Fine);
    assert_eq!(verdict(&data::judge_rights("d", 7, 0o40755, 7)), Warn);
    assert_eq!(verdict(&data::judge_rights("d", 7, 0o40700, 0)), Warn);

    let log = tidegate_log::LogId(1);
    let manifest = tidegate_log::Manifest {
        shards: 4,
        hash: "h".into(),
        store: "none".into(),
        start: tidegate_log::StartNumber(3),
        next_segment: tidegate_log::SegmentNumber(2),
        layouts: vec![tidegate_log::Layout::spread(1, &[log], 4)],
    };
    assert_eq!(verdict(&data::judge_manifest(&manifest, "none", 4)), Fine);
    assert_eq!(verdict(&data::judge_manifest(&manifest, "none", 5)), Fail);
    // A directory that fed none takes a store; one that has a store keeps it.
    assert_eq!(verdict(&data::judge_manifest(&manifest, "sqlite-1", 4)), Fine);
    let fed = tidegate_log::Manifest {
        store: "sqlite-1".into(),
        ..manifest
    };
    assert_eq!(verdict(&data::judge_manifest(&fed, "sqlite-2", 4)), Fail);
    assert_eq!(verdict(&data::judge_manifest(&fed, "none", 4)), Fail);
}

#[test]
fn a_store_needs_its_folder_and_room_and_is_said_to_be_on_its_own_disk_or_the_logs() {
    let fine = store::judge("/s/store.db", 3 << 20, 2 << 30, true);
    assert_eq!(verdict(&fine), Fine);
    assert!(fine.found.contains("a disk of its own"), "{fine}");
    let full = store::judge("/s/store.db", 3 << 20, 1 << 20, false);
    assert_eq!(verdict(&full), Warn);
    assert!(full.found.contains("the log's disk"), "{full}");
    let folder = tempfile::tempdir().unwrap();
    let asked = |store: &str| {
        let set = vec![
            format!("server.data={}", folder.path().display()),
            format!("backoffice.store={store}"),
        ];
        store::store(
            &RunArgs {
                set,
                ..RunArgs::default()
            }
            .load()
            .unwrap(),
        )
        .unwrap()
    };
    assert_ne!(verdict(&asked("store.db")), Fail);
    let missing = asked("none/store.db");
    assert_eq!(verdict(&missing), Fail);
    assert!(missing.remedy.contains("mount its disk"), "{missing}");
}

#[test]
fn a_configuration_with_a_mistake_is_one_failure_and_the_machine_is_looked_at_all_the_same() {
    let args = RunArgs {
        set: vec!["server.threadz=1".into()],
        ..RunArgs::default()
    };
    let report = examine(&args);
    assert_eq!(verdict(&report.checks[0]), Fail);
    assert!(
        report.checks[0].wrong.contains("did you mean `threads`"),
        "{}",
        report.checks[0]
    );
    assert!(report.checks.iter().any(|check| check.name == "kernel"));
    assert!(report.checks.iter().all(|check| check.name != "port"));
}
