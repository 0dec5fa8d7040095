//! The servers that the split system stands on, by the script that has them (scripts/services).

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What the script starts.
pub const NAMES: [&str; 3] = ["mariadb", "kafka", "redis"];

/// The script.
#[derive(Clone, Debug)]
pub struct Services {
    script: PathBuf,
    /// host:port of brokers.
    pub brokers: String,
}

/// A database of the drill's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Database {
    /// Without the password.
    pub url: String,
    /// Of the user in the URL.
    pub password: String,
}

impl Services {
    /// Starts what does not run, and asks where it is.
    pub fn up(script: &Path) -> Result<Services, String> {
        let mut services = Services {
            script: script.to_path_buf(),
            brokers: String::new(),
        };
        let mut up = vec!["up"];
        up.extend(NAMES);
        services.ask(&up)?;
        let said = services.ask(&["env"])?;
        services.brokers = variable(&said, "TIDEGATE_TEST_KAFKA")?;
        Ok(services)
    }

    /// Makes a database, which must not be there.
    pub fn database(&self, name: &str) -> Result<Database, String> {
        let said = self.ask(&["database", name])?;
        let url = said.lines().last().unwrap_or_default();
        split(url).ok_or_else(|| {
            format!(
                "{} database {name}: it printed {url:?}; right is mysql://user:password@host:port/{name}",
                self.script.display()
            )
        })
    }

    /// Takes a database away.
    pub fn drop(&self, name: &str) -> Result<(), String> {
        self.ask(&["drop", name]).map(drop)
    }

    /// Kills one with -9.
    pub fn kill(&self, name: &str) -> Result<(), String> {
        self.ask(&["kill", name]).map(drop)
    }

    /// Starts it again, and waits until it answers.
    pub fn start(&self, name: &str) -> Result<(), String> {
        self.ask(&["up", name]).map(drop)
    }

    /// What the script says to these arguments.
    fn ask(&self, args: &[&str]) -> Result<String, String> {
        let named = || format!("{} {}", self.script.display(), args.join(" "));
        let output: Output = Command::new(&self.script)
            .args(args)
            .output()
            .map_err(|e| format!("{}: {e}; --services names the script scripts/services", named()))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(said),
            false => Err(format!(
                "{}: {}: {} {}",
                named(),
                output.status,
                said.trim(),
                String::from_utf8_lossy(&output.stderr).trim()
            )),
        }
    }
}

/// The value of a line `export NAME=value`.
fn variable(said: &str, name: &str) -> Result<String, String> {
    let mut lines = said.lines();
    let value = lines.find_map(|line| {
        line.trim()
            .strip_prefix("export ")?
            .strip_prefix(name)?
            .strip_prefix('=')
    });
    match value {
        Some(value) if !value.is_empty() => Ok(value.to_owned()),
        _ => Err(format!(
            "the services' `env` has no line `export {name}=...`; it printed: {said}"
        )),
    }
}

/// A URL and its password apart.
fn split(url: &str) -> Option<Database> {
    let (user, place) = url.strip_prefix("mysql://")?.rsplit_once('@')?;
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    place.split_once('/').filter(|(_, name)| !name.is_empty())?;
    Some(Database {
        url: format!("mysql://{user}@{place}"),
        password: password.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_taken_out_of_a_url_and_what_is_no_url_is_refused() {
        let database = split("mysql://tidegate:se:cret@127.0.0.1:13306/tidegate_1").unwrap();
        assert_eq!(database.url, "mysql://tidegate@127.0.0.1:13306/tidegate_1");
        assert_eq!(database.password, "se:cret");
        assert_eq!(split("mysql://root@h:1/d").unwrap().password, "");
        for url in [
            "",
            "mysql://u:p@h:1",
            "mysql://u:p@h:1/",
            "h:1/d",
            "postgres://u@h/d",
        ] {
            assert_eq!(split(url), None, "{url}");
        }
    }

    #[test]
    fn a_variable_is_found_among_others_and_one_that_is_missing_is_named() {
        let said = "export A_TOO=1\nexport A=127.0.0.1:9\nexport B=\n";
        assert_eq!(variable(said, "A").unwrap(), "127.0.0.1:9");
        assert!(variable(said, "B").unwrap_err().contains("export B="));
        assert!(variable(said, "C").is_err());
    }
}
