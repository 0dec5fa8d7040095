use super::*;
use tidegate_backoffice::store::Sqlite;
use tidegate_log::{Layout, LogId, Manifest, SegmentNumber, StartNumber};

/// A data directory that feeds the store in its store.db, and a folder for another one.
struct Shop {
    data: tempfile::TempDir,
    disk: tempfile::TempDir,
    old: PathBuf,
    new: PathBuf,
}

impl Shop {
    fn new() -> Shop {
        let (data, disk) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let old = data.path().join("store.db");
        let store = Sqlite::open(&old).unwrap();
        store
            .database()
            .write(|tx| {
                tx.execute("INSERT INTO marks VALUES (1, 7, -5, 7, -5), (2, 9, 1, 9, 1)", [])?;
                tx.execute(
                    "INSERT INTO orders VALUES (5, x'00', 'alice', 'pending', 1, 'CNY', 1, 1, 1, NULL, NULL)",
                    [],
                )
            })
            .unwrap();
        let manifest = Manifest {
            shards: 4,
            hash: "h".into(),
            store: store.name().to_owned(),
            start: StartNumber(1),
            next_segment: SegmentNumber(1),
            layouts: vec![Layout::spread(1, &[LogId(1)], 4)],
        };
        fs::write(data.path().join("MANIFEST"), manifest.encode()).unwrap();
        let new = disk.path().canonicalize().unwrap().join("shop.db");
        Shop { data, disk, old, new }
    }

    fn due(&self) -> Box<Move> {
        match unlocked(|| begin(self.data.path(), &self.old, &self.new, &mut |_| {})).unwrap() {
            Begun::Due(work) => work,
            Begun::Done(_) => panic!("it was done before"),
        }
    }

    /// Whether a start may use the old store, and the new one.
    fn in_force(&self) -> (bool, bool) {
        let may = |path: &Path| path.exists() && place::check(self.data.path(), path).is_ok();
        (may(&self.old), may(&self.new))
    }

    fn run(&self) -> Result<(), String> {
        moved(self.data.path(), &self.old, &self.new)
    }

    /// The names of the files in the new store's folder, and of the note.
    fn left(&self) -> Vec<String> {
        let names = |dir: &Path| -> Vec<String> {
            let entries = fs::read_dir(dir).unwrap();
            entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect()
        };
        let mut left = names(self.disk.path());
        left.extend(
            names(self.data.path())
                .into_iter()
                .filter(|name| name.contains("move") || name.contains(".new")),
        );
        left
    }
}

/// Does it, and again for a moment while something is locked: a process that another test starts has this one's locks until it runs its program.
fn unlocked<T>(mut work: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let began = Instant::now();
    loop {
        match work() {
            Err(error) if error.contains("is locked") && began.elapsed() < WORD_EVERY => {
                std::thread::sleep(Duration::from_millis(5));
            }
            done => return done,
        }
    }
}

fn moved(data: &Path, source: &Path, to: &Path) -> Result<(), String> {
    unlocked(|| run(data, source, to))
}

#[test]
fn a_move_has_every_row_and_mark_in_the_new_file_and_the_old_one_is_refused() {
    let shop = Shop::new();
    let before = copy::contents_of(&shop.old).unwrap();
    shop.run().unwrap();
    assert_eq!(shop.in_force(), (false, true));
    assert_eq!(copy::contents_of(&shop.new).unwrap(), before);
    assert_eq!(
        copy::contents_of(&shop.old).unwrap(),
        before,
        "the old file is kept"
    );
    let said = place::check(shop.data.path(), &shop.old).unwrap_err();
    assert!(
        said.contains("tidegate store migrate") && said.contains("backoffice.store"),
        "{said}"
    );
    assert_eq!(shop.left(), ["shop.db"]);
    // Asked again, it is done; and back it goes to a place that is free.
    shop.run().unwrap();
    let back = shop.data.path().join("again.db");
    moved(shop.data.path(), &shop.new, &back).unwrap();
    assert_eq!(shop.in_force(), (false, false));
    assert_eq!(place::check(shop.data.path(), &back), Ok(()));
}

#[test]
fn a_crash_between_any_two_steps_leaves_one_store_in_force_and_a_repeat_ends_the_move() {
    for steps in 0..=4 {
        let shop = Shop::new();
        let before = copy::contents_of(&shop.old).unwrap();
        let mut work = shop.due();
        let doing: [&mut dyn FnMut(&mut Move); 4] = [
            &mut |work| drop(work.copy(&mut |_| {}).unwrap()),
            &mut |work| work.put().unwrap(),
            &mut |work| work.switch().unwrap(),
            &mut |work| work.end().unwrap(),
        ];
        doing.into_iter().take(steps).for_each(|step| step(&mut work));
        drop(work);
        let switched = steps >= 3;
        assert_eq!(shop.in_force(), (!switched, switched), "after {steps} steps");
        let in_force = if switched { &shop.new } else { &shop.old };
        assert_eq!(
            copy::contents_of(in_force).unwrap(),
            before,
            "after {steps} steps"
        );
        shop.run().unwrap();
        assert_eq!(shop.in_force(), (false, true), "after {steps} steps");
        assert_eq!(
            copy::contents_of(&shop.new).unwrap(),
            before,
            "after {steps} steps"
        );
        assert_eq!(shop.left(), ["shop.db"], "after {steps} steps");
    }
}

#[test]
fn a_copy_that_was_cut_short_is_begun_again_also_where_the_old_store_went_on_meanwhile() {
    let shop = Shop::new();
    drop(shop.due());
    fs::write(part(&shop.new), [7; 5000]).unwrap();
    fs::write(with_suffix(&part(&shop.new), "-journal"), [7; 500]).unwrap();
    shop.run().unwrap();
    assert_eq!(shop.left(), ["shop.db"]);

    // A crash before the switch, and then the gateway ran for a while: its orders are moved, and the earlier copy is not taken.
    let shop = Shop::new();
    let mut work = shop.due();
    work.copy(&mut |_| {}).unwrap();
    work.put().unwrap();
    drop(work);
    let later = unlocked(|| Sqlite::open(&shop.old).map_err(|error| error.to_string())).unwrap();
    later
        .database()
        .write(|tx| tx.execute("UPDATE marks SET applied_op = 8 WHERE shard = 1", []))
        .unwrap();
    drop(later);
    shop.run().unwrap();
    let marks = copy::contents_of(&shop.new).unwrap().marks;
    assert!(
        marks.iter().any(|mark| mark.shard == 1 && mark.op == 8),
        "{marks:?}"
    );
}

#[test]
fn what_is_in_the_way_is_named_and_stays() {
    let refusal = |shop: &Shop| shop.run().unwrap_err();
    let shop = Shop::new();
    for path in [shop.new.clone(), part(&shop.new), with_suffix(&shop.new, "-wal")] {
        fs::write(&path, "somebody's").unwrap();
        let said = refusal(&shop);
        assert!(
            said.starts_with(path.to_str().unwrap()) && said.contains("not replaced"),
            "{said}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"somebody's");
        fs::remove_file(path).unwrap();
    }
    let to = |to: &Path| moved(shop.data.path(), &shop.old, to).unwrap_err();
    assert!(to(&shop.disk.path().join("none/shop.db")).contains("mount its disk"));
    assert!(to(shop.disk.path()).contains("it is a folder"));
    assert!(
        moved(shop.data.path(), &shop.disk.path().join("x.db"), &shop.new)
            .unwrap_err()
            .contains("put that store's file back")
    );
    assert!(
        moved(shop.disk.path(), &shop.old, &shop.new)
            .unwrap_err()
            .contains("name a data directory")
    );
    let held = unlocked(|| hold(shop.data.path())).unwrap();
    assert!(refusal(&shop).contains("stop it first"));
    drop(held);
    assert!(shop.left().is_empty(), "{:?}", shop.left());
    assert_eq!(shop.in_force(), (true, false));
}

#[test]
fn the_advice_is_a_line_of_configuration_that_finds_the_store() {
    let shop = Shop::new();
    let data = shop.data.path().canonicalize().unwrap();
    assert!(advice(shop.data.path(), &data.join("store.db")).contains("need not be set"));
    for (target, store) in [
        (data.join("s/a \"b\".db"), "s/a \"b\".db"),
        (shop.new.clone(), shop.new.to_str().unwrap()),
    ] {
        let said = advice(shop.data.path(), &target);
        let (_, lines) = said.split_once("\n\n").unwrap();
        let raw: crate::config::raw::RawConfig = toml::from_str(lines).unwrap();
        assert_eq!(raw.backoffice.store, store, "{said}");
    }
}
