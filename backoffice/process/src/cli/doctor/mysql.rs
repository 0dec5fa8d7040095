//! Whether the store can be kept where it is to be.

use tidegate_mysql::{Facts, MysqlError, Tables};

use super::report::Check;

/// What the store's user must be allowed.
const RIGHTS: [&str; 7] = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "INDEX"];
/// The oldest versions whose SQL is known to be enough.
const MYSQL_MIN: (u32, u32) = (8, 0);
const MARIADB_MIN: (u32, u32) = (10, 6);
/// A batch's statement of 512 rows is below this.
const PACKET_MIN: u64 = 1 << 20;

/// All that is judged; one check alone where nobody answers.
pub(super) fn checks(facts: &Result<Facts, MysqlError>) -> Vec<Check> {
    let facts = match facts {
        Ok(facts) => facts,
        Err(error) => return vec![unreachable(error)],
    };
    vec![
        version(&facts.version),
        tables(&facts.tables),
        rights(facts),
        durability(facts),
        writer(facts),
        packet(facts),
    ]
}

fn unreachable(error: &MysqlError) -> Check {
    let remedy = match error.code() {
        Some(1044) => "let the user into the database: GRANT ALL ON tidegate.* TO 'tidegate'@'%'",
        Some(1045) => {
            "correct the user in mysql.url, or the password in mysql.password_file (or BACKOFFICE_MYSQL_PASSWORD)"
        }
        Some(1049) => "make the database: CREATE DATABASE tidegate CHARACTER SET utf8mb4",
        Some(1040) => "raise the server's max_connections",
        _ => {
            "start the server, correct mysql.url, or let the network through; with ?require_ssl=true, see mysql.ca"
        }
    };
    Check::fail("MySQL", "cannot be used", error.to_string(), remedy)
}

/// `8.0.39` and `10.11.6-MariaDB-0+deb12u1`, as two numbers and whether it is MariaDB.
fn parse(version: &str) -> Option<((u32, u32), bool)> {
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let pair = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
    Some((pair, version.to_ascii_lowercase().contains("mariadb")))
}

fn version(version: &str) -> Check {
    let name = "MySQL version";
    match parse(version) {
        Some((has, true)) if has >= MARIADB_MIN => Check::ok(name, version),
        Some((has, false)) if has >= MYSQL_MIN => Check::ok(name, version),
        Some(_) => Check::fail(
            name,
            version,
            "it is older than what this program was made for",
            "use MySQL 8.0 or MariaDB 10.6, or newer",
        ),
        None => Check::warn(
            name,
            version,
            "it is no version that is known",
            "use MySQL or MariaDB",
        ),
    }
}

fn tables(tables: &Tables) -> Check {
    let name = "migrations";
    match tables {
        Tables::None => Check::ok(name, "the database is empty: a start makes the tables"),
        Tables::Foreign => Check::fail(
            name,
            "there are tables",
            "they are another program's",
            "give the store a database of its own: CREATE DATABASE tidegate CHARACTER SET utf8mb4",
        ),
        Tables::Ours { version, known, .. } if version > known => Check::fail(
            name,
            format!("tables of version {version}"),
            format!("this program knows {known}"),
            "use the newer program",
        ),
        Tables::Ours {
            version,
            known,
            name: store,
        } => {
            let store = store.as_deref().unwrap_or("not named yet");
            match version == known {
                true => Check::ok(name, format!("version {version}, store {store}")),
                false => Check::warn(
                    name,
                    format!("version {version} of {known}, store {store}"),
                    "a start brings them up to date, and a large table takes its time",
                    "tidegate-backoffice migrate does it beforehand",
                ),
            }
        }
    }
}

fn rights(facts: &Facts) -> Check {
    let name = "MySQL rights";
    let lacks: Vec<&str> = RIGHTS
        .into_iter()
        .filter(|right| !facts.rights.contains(*right))
        .collect();
    match lacks.as_slice() {
        [] => Check::ok(name, "the user may do what the store does"),
        _ => Check::warn(
            name,
            format!("{} are not seen", lacks.join(", ")),
            "unless they come by a role, the store cannot write or migrate",
            "GRANT ALL ON tidegate.* TO 'tidegate'@'%'",
        ),
    }
}

/// The edge frees its log once a row is committed; what the server loses then is lost.
fn durability(facts: &Facts) -> Check {
    let name = "MySQL durability";
    let flush = facts.flush.map_or("unknown".into(), |value| value.to_string());
    let mut found = format!("innodb_flush_log_at_trx_commit = {flush}");
    if facts.flush != Some(1) {
        return Check::fail(
            name,
            found,
            "a server that loses power loses batches that it has confirmed, and the edges have freed them",
            "SET PERSIST innodb_flush_log_at_trx_commit = 1 (MariaDB: in my.cnf)",
        );
    }
    if facts.binary_log {
        let sync = facts
            .sync_binlog
            .map_or("unknown".into(), |value| value.to_string());
        found = format!("{found}, sync_binlog = {sync}");
        if facts.sync_binlog != Some(1) {
            return Check::warn(
                name,
                found,
                "after a loss of power a replica may lack, or have more than, what the server has",
                "sync_binlog = 1, if there are replicas",
            );
        }
    }
    Check::ok(name, found)
}

fn writer(facts: &Facts) -> Check {
    let name = "MySQL writer";
    if facts.read_only {
        return Check::fail(
            name,
            "read_only is on",
            "this server is a replica, or was made one",
            "set mysql.url to the one that takes writes",
        );
    }
    match facts.binlog_format.as_deref() {
        Some("STATEMENT") if facts.binary_log => Check::fail(
            name,
            "binlog_format is STATEMENT",
            "the store reads committed rows only, which it cannot log",
            "binlog_format = ROW (the default)",
        ),
        _ => Check::ok(
            name,
            match facts.tls {
                true => "takes writes, over TLS",
                false => "takes writes, in the clear",
            },
        ),
    }
}

fn packet(facts: &Facts) -> Check {
    let name = "MySQL packets";
    let found = facts
        .packet_max
        .map_or("unknown".into(), |bytes| format!("{bytes} bytes"));
    match facts.packet_max {
        Some(bytes) if bytes < PACKET_MIN => Check::warn(
            name,
            found,
            "batches go in many small statements",
            "max_allowed_packet = 16M",
        ),
        _ => Check::ok(name, found),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict::{self, Fail, Ok, Warn};
    use super::*;

    fn good() -> Facts {
        Facts {
            version: "10.11.6-MariaDB-0+deb12u1".into(),
            flush: Some(1),
            binary_log: true,
            sync_binlog: Some(1),
            binlog_format: Some("MIXED".into()),
            read_only: false,
            packet_max: Some(16 << 20),
            tls: true,
            tables: Tables::Ours {
                version: 1,
                known: 1,
                name: Some("mysql-1".into()),
            },
            rights: RIGHTS.into_iter().map(String::from).collect(),
        }
    }

    /// The worst verdict of a server that is good but for one thing.
    fn worst(change: impl FnOnce(&mut Facts)) -> Verdict {
        let mut facts = good();
        change(&mut facts);
        let checks = checks(&Result::Ok(facts));
        for check in &checks {
            assert_eq!(check.verdict == Ok, check.remedy.is_empty(), "{check}");
        }
        checks.iter().map(|check| check.verdict).max().unwrap()
    }

    #[test]
    fn a_good_server_passes_and_each_thing_that_is_wrong_is_judged_by_what_it_costs() {
        assert_eq!(worst(|_| ()), Ok);
        assert_eq!(worst(|f| f.flush = Some(2)), Fail);
        assert_eq!(worst(|f| f.flush = None), Fail);
        assert_eq!(worst(|f| f.sync_binlog = Some(0)), Warn);
        assert_eq!(worst(|f| (f.sync_binlog, f.binary_log) = (Some(0), false)), Ok);
        assert_eq!(worst(|f| f.read_only = true), Fail);
        assert_eq!(worst(|f| f.binlog_format = Some("STATEMENT".into())), Fail);
        assert_eq!(worst(|f| f.tables = Tables::None), Ok);
        assert_eq!(worst(|f| f.tables = Tables::Foreign), Fail);
        assert_eq!(worst(|f| _ = f.rights.remove("INSERT")), Warn);
        assert_eq!(worst(|f| f.packet_max = Some(65_536)), Warn);
        let of_version = |version, known| {
            worst(move |f| {
                f.tables = Tables::Ours {
                    version,
                    known,
                    name: None,
                }
            })
        };
        assert_eq!((of_version(1, 2), of_version(3, 2)), (Warn, Fail));
    }

    #[test]
    fn versions_of_both_servers_are_told_apart() {
        for (text, verdict) in [
            ("8.0.39", Ok),
            ("8.4.0-commercial", Ok),
            ("5.7.44-log", Fail),
            ("10.11.6-MariaDB", Ok),
            ("10.3.39-MariaDB-log", Fail),
            ("something", Warn),
        ] {
            assert_eq!(version(text).verdict, verdict, "{text}");
        }
    }

    #[test]
    fn a_server_that_nobody_reaches_is_one_failing_line() {
        let error = MysqlError::TimedOut {
            what: "connect",
            after: std::time::Duration::from_secs(5),
        };
        let checks = checks(&Err(error));
        assert_eq!((checks.len(), checks[0].verdict), (1, Fail));
        assert!(checks[0].remedy.contains("mysql.url"));
    }
}
