//! The admin token: what a browser, and whoever is not on this machine, must show to change something.

use std::fs;
use std::path::{Path, PathBuf};

use crate::first_start::write_new;

/// Hexadecimal digits of a token that is made: 128 random bits.
const DIGITS: usize = 32;
/// The least that is accepted of a file that somebody wrote.
const LEAST: usize = 16;

/// The token of `DATA/admin.token`.
#[derive(Clone)]
pub struct AdminToken(String);

/// `DATA/admin.token`.
pub fn file(data: &Path) -> PathBuf {
    data.join("admin.token")
}

impl AdminToken {
    /// Reads the file, or makes it, readable by its owner alone, if it is not there.
    ///
    /// # Errors
    /// A sentence: the file cannot be read or written, or holds no token.
    pub fn load_or_make(data: &Path) -> Result<AdminToken, String> {
        let path = file(data);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        if !path.exists() {
            let mut random = [0; DIGITS / 2];
            aws_lc_rs::rand::fill(&mut random)
                .map_err(|_| "the system gives no random numbers".to_owned())?;
            let token: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
            write_new(&path, &format!("{token}\n"), 0o600).map_err(failed)?;
        }
        let token = fs::read_to_string(&path).map_err(failed)?.trim().to_owned();
        if token.len() < LEAST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!(
                "{}: an admin token is a line of {LEAST} or more visible ASCII characters; remove the file, and the next start makes one",
                path.display()
            ));
        }
        Ok(AdminToken(token))
    }

    /// Whether `shown` is the token, in a time that does not tell how much of it is right.
    pub fn is(&self, shown: &[u8]) -> bool {
        aws_lc_rs::constant_time::verify_slices_are_equal(self.0.as_bytes(), shown).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_token_is_made_once_for_its_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let first = AdminToken::load_or_make(data.path()).unwrap();
        let text = fs::read_to_string(file(data.path())).unwrap();
        assert_eq!(text.trim().len(), DIGITS);
        let mode = fs::metadata(file(data.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = AdminToken::load_or_make(data.path()).unwrap();
        assert!(again.is(text.trim().as_bytes()) && first.is(text.trim().as_bytes()));
        assert!(!again.is(b"") && !again.is(&text.trim().as_bytes()[..DIGITS - 1]));
    }

    #[test]
    fn a_file_without_a_token_stops_the_start_and_says_what_to_do() {
        let data = tempfile::tempdir().unwrap();
        fs::write(file(data.path()), "short\n").unwrap();
        let problem = AdminToken::load_or_make(data.path()).err().unwrap();
        assert!(
            problem.contains("admin.token") && problem.contains("remove"),
            "{problem}"
        );
    }
}
