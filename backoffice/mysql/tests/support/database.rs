//! A database of its own for a test, on the server that TIDEGATE_TEST_MYSQL names; it goes with the test.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder, Row};
use tidegate_mysql::{Mysql, Settings};

/// The variable that names the server.
const SERVER: &str = "TIDEGATE_TEST_MYSQL";
/// Every table that follows the log, with its key.
const TABLES: [(&str, &str); 5] = [
    ("orders", "id"),
    ("order_lines", "order_id, sku"),
    ("history", "order_id, op"),
    ("skus", "sku"),
    ("marks", "shard"),
];

/// The database.
pub struct Scratch {
    name: String,
    /// Leads to it.
    pub url: String,
}

impl Scratch {
    /// Makes one; none, with a line that says so, where no server is named.
    pub fn make() -> Option<Scratch> {
        let Ok(server) = std::env::var(SERVER) else {
            println!(
                "SKIPPED: no MySQL or MariaDB: {SERVER} is not set (scripts/services up mariadb, then eval \"$(scripts/services env)\")"
            );
            return None;
        };
        let name = format!("tidegate_{:016x}", getrandom::u64().expect("random bytes"));
        let (before, _) = server.rsplit_once('/').expect("a URL with a database");
        let scratch = Scratch {
            url: format!("{before}/{name}"),
            name,
        };
        scratch.on_server(format!("CREATE DATABASE {} CHARACTER SET utf8mb4", scratch.name));
        Some(scratch)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How to reach it.
    pub fn settings(&self) -> Settings {
        Settings::new(self.url.clone())
    }

    /// The store in it.
    pub fn open(&self) -> Mysql {
        Mysql::open(self.settings()).expect("the store opens")
    }

    /// Runs statements in it.
    pub fn run(&self, sql: &str) {
        let opts = Opts::from_url(&self.url).expect("a URL");
        block_on(async {
            let mut conn = Conn::new(opts).await.expect("a connection");
            conn.query_drop(sql).await.expect(sql);
            conn.disconnect().await.expect("a good end");
        });
    }

    /// The rows of a query, each as literals.
    pub fn rows(&self, sql: &str) -> Vec<String> {
        let opts = Opts::from_url(&self.url).expect("a URL");
        block_on(async {
            let mut conn = Conn::new(opts).await.expect("a connection");
            let rows: Vec<Row> = conn.query(sql).await.expect(sql);
            conn.disconnect().await.expect("a good end");
            rows.into_iter().map(literals).collect()
        })
    }

    /// Everything that follows the log.
    pub fn dump(&self) -> Vec<String> {
        let table = |(table, key)| self.rows(&format!("SELECT '{table}', t.* FROM {table} t ORDER BY {key}"));
        TABLES.into_iter().flat_map(table).collect()
    }

    fn on_server(&self, sql: String) {
        let server = std::env::var(SERVER).expect("a server");
        let opts = OptsBuilder::from_opts(Opts::from_url(&server).expect("a URL"));
        block_on(async {
            let mut conn = Conn::new(opts).await.expect("a connection");
            conn.query_drop(&sql).await.expect(&sql);
            conn.disconnect().await.expect("a good end");
        });
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.on_server(format!("DROP DATABASE IF EXISTS {}", self.name));
    }
}

/// A row as SQL has it, whole: the driver's Debug cuts long values.
fn literals(row: Row) -> String {
    let values: Vec<String> = row.unwrap().iter().map(|value| value.as_sql(true)).collect();
    values.join(", ")
}

/// On a runtime of its own.
pub fn block_on<T>(doing: impl Future<Output = T>) -> T {
    runtime().block_on(doing)
}

/// A runtime of the calling thread.
pub fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}
