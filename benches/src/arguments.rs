//! The command line of `compare`.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

/// Tidegate beside nginx: all server threads on one core, the load generator on another, in alternation.
#[derive(Clone, Debug, Parser)]
#[command(name = "compare")]
pub struct Arguments {
    /// Measured rounds; one more is run first, to warm up, and thrown away.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Requests of a lane in one round.
    #[arg(long, default_value_t = 100_000)]
    pub requests: u64,
    /// Users, each with an address and (in the lanes about tokens) a token of their own.
    #[arg(long, default_value_t = 100_000)]
    pub users: u32,
    /// Which cases, with commas between, or all: h1-64, h1-256, h2-16x16, tokens, hot-h1, hot-h2, sold-out-h1,
    /// sold-out-h2, overload.
    #[arg(long, default_value = "all")]
    pub cases: String,
    /// Which servers: both, or one of them to try the command out.
    #[arg(long, value_enum, default_value_t = Servers::Both)]
    pub servers: Servers,
    /// How Tidegate's net thread does I/O: uring, monoio, epoll. Several with commas between are compared.
    #[arg(long, value_delimiter = ',')]
    pub io: Vec<String>,
    /// Tidegate's commit window in microseconds. Several with commas between are compared.
    #[arg(long, value_delimiter = ',')]
    pub window_us: Vec<u32>,
    /// Tidegate's log writer: direct, glommio. Several with commas between are compared.
    #[arg(long, value_delimiter = ',')]
    pub writer: Vec<String>,
    /// Another setting of Tidegate, as section.key=value.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    pub set: Vec<String>,
    /// Where the tables go; `-` writes no file.
    #[arg(long, default_value = "benches/RESULTS.md")]
    pub out: PathBuf,
    /// Keep what the file holds and add to it.
    #[arg(long)]
    pub append: bool,
    /// Tidegate's binary; built when not given.
    #[arg(long)]
    pub tidegate: Option<PathBuf>,
    /// The load generator's binary; built when not given.
    #[arg(long)]
    pub loadgen: Option<PathBuf>,
    /// nginx's binary; looked for in PATH and /usr/sbin when not given.
    #[arg(long)]
    pub nginx: Option<PathBuf>,
    /// Profile that the binaries are built with: release, or dist, the one that ships.
    #[arg(long, default_value = "release")]
    pub profile: String,
    /// A folder on a real disk for data directories; emptied afterwards. Not a tmpfs: its syncs cost nothing.
    #[arg(long, default_value = "target/compare")]
    pub data_root: PathBuf,
    /// The core that all server threads run on.
    #[arg(long, default_value_t = 0)]
    pub server_core: usize,
    /// The core that the load generator runs on.
    #[arg(long, default_value_t = 1)]
    pub client_core: usize,
}

/// Which servers take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Servers {
    /// nginx and Tidegate.
    Both,
    /// nginx alone.
    Nginx,
    /// Tidegate alone.
    Tidegate,
}

/// One way to run Tidegate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variant {
    /// What tells it apart from the other variants; empty when it is the only one.
    pub label: String,
    /// Its settings.
    pub set: Vec<String>,
}

impl Arguments {
    /// Every combination of `--io`, `--window-us` and `--writer`.
    pub fn variants(&self) -> Vec<Variant> {
        let windows: Vec<String> = self.window_us.iter().map(ToString::to_string).collect();
        let mut variants = vec![Variant {
            label: String::new(),
            set: self.set.clone(),
        }];
        for (key, values) in [
            ("server.io", &self.io),
            ("shards.window_us", &windows),
            ("shards.writer", &self.writer),
        ] {
            if values.is_empty() {
                continue;
            }
            let with = |variant: &Variant, value: &String| {
                let mut variant = variant.clone();
                variant.set.push(format!("{key}={value}"));
                if values.len() > 1 {
                    let name = key.rsplit('.').next().unwrap_or(key);
                    let space = if variant.label.is_empty() { "" } else { " " };
                    variant.label = format!("{}{space}{name}={value}", variant.label);
                }
                variant
            };
            variants = variants
                .iter()
                .flat_map(|variant| values.iter().map(move |value| with(variant, value)))
                .collect();
        }
        variants
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_values_of_a_setting_make_variants() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).unwrap();
        assert_eq!(
            parse("compare").variants(),
            [Variant {
                label: String::new(),
                set: vec![]
            }]
        );
        let variants = parse("compare --io uring,epoll --window-us 300 --writer direct,glommio").variants();
        assert_eq!(variants.len(), 4);
        assert_eq!(variants[1].label, "io=uring writer=glommio");
        assert_eq!(
            variants[3].set,
            ["server.io=epoll", "shards.window_us=300", "shards.writer=glommio"]
        );
    }
}
