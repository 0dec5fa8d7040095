//! The binaries of a run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::arguments::{Arguments, Servers};

/// Where they are.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `tidegate`.
    pub tidegate: PathBuf,
    /// `tidegate-loadgen`.
    pub loadgen: PathBuf,
    /// `nginx`, unless it takes no part.
    pub nginx: Option<PathBuf>,
}

impl Programs {
    /// Finds them; builds what is ours and was not given.
    ///
    /// # Errors
    /// A sentence that names the remedy.
    pub fn find(arguments: &Arguments) -> Result<Programs, String> {
        let profile = &arguments.profile;
        let nginx = match (&arguments.nginx, arguments.servers) {
            (_, Servers::Tidegate) => None,
            (Some(path), _) => Some(path.clone()),
            (None, _) => Some(in_path("nginx").ok_or(
                "nginx is not there: install it (apt-get install nginx-light), or name it with --nginx",
            )?),
        };
        Ok(Programs {
            tidegate: match &arguments.tidegate {
                Some(path) => path.clone(),
                None if arguments.servers == Servers::Nginx => PathBuf::new(),
                None => build("tidegate", "tidegate", profile)?,
            },
            loadgen: match &arguments.loadgen {
                Some(path) => path.clone(),
                None => build("tidegate-loadgen", "tidegate-loadgen", profile)?,
            },
            nginx,
        })
    }
}

/// Builds a package's binary and says where it is.
///
/// # Errors
/// cargo is not there or failed.
pub fn build(package: &str, binary: &str, profile: &str) -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args([
            "build",
            "--profile",
            profile,
            "--package",
            package,
            "--bin",
            binary,
        ])
        .current_dir(root())
        .status()
        .map_err(|e| format!("cargo: {e}"))?;
    if !built.success() {
        return Err(format!("{package} was not built"));
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join(profile).join(binary))
}

/// The workspace's folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// nginx lives in sbin, which is not in everybody's PATH.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}
