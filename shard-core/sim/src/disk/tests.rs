use super::*;

fn disk_with_a_synced_file() -> Disk {
    let mut disk = Disk::default();
    disk.write_at("logs/a", 0, &[1; 4096]).unwrap();
    disk.sync("logs/a").unwrap();
    disk.sync_dir("logs").unwrap();
    disk
}

#[test]
fn what_was_synced_survives_a_loss_of_power() {
    for seed in 0..50 {
        let mut disk = disk_with_a_synced_file();
        disk.lose_power(&mut Rng::new(seed));
        assert_eq!(disk.read("logs/a").unwrap(), [1; 4096]);
    }
}

#[test]
fn an_unsynced_write_may_be_lost_kept_torn_or_damaged() {
    let (mut lost, mut kept, mut other) = (0, 0, 0);
    for seed in 0..200 {
        let mut disk = disk_with_a_synced_file();
        disk.write_at("logs/a", 0, &[2; 4096]).unwrap();
        disk.lose_power(&mut Rng::new(seed));
        match disk.read("logs/a").unwrap() {
            bytes if bytes == [1; 4096] => lost += 1,
            bytes if bytes == [2; 4096] => kept += 1,
            _ => other += 1,
        }
    }
    assert!(lost > 20 && kept > 20 && other > 20);
}

#[test]
fn a_killed_process_leaves_its_writes_unsynced() {
    let mut disk = disk_with_a_synced_file();
    disk.write_at("logs/a", 0, &[2; 4096]).unwrap();
    disk.kill();
    assert_eq!(disk.read("logs/a").unwrap(), [2; 4096]);
    assert_eq!(disk.durable("logs/a").unwrap(), [1; 4096]);
}

#[test]
fn a_name_lasts_once_its_directory_is_synced() {
    let mut back = 0;
    for seed in 0..50 {
        let mut disk = disk_with_a_synced_file();
        disk.rename("logs/a", "spare/a").unwrap();
        let synced = seed % 2 == 0;
        if synced {
            disk.sync_dir("spare").unwrap();
        }
        disk.lose_power(&mut Rng::new(seed));
        let renamed = disk.list("spare").unwrap() == ["a"];
        assert!(renamed || !synced);
        back += u32::from(!renamed);
    }
    assert!(back > 0);
}

#[test]
fn a_machine_stops_at_the_operation_it_was_told() {
    let mut disk = disk_with_a_synced_file();
    disk.stop_after(Some(1));
    assert!(disk.write_at("logs/a", 0, &[3]).is_ok());
    assert!(disk.sync("logs/a").is_err());
    assert!(disk.has_stopped());
}
