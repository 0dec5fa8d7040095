//! What is printed once it listens.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::{Made, reachable};

/// What the text is about.
#[derive(Debug, Clone)]
pub struct Banner<'a> {
    /// Where HTTPS is served.
    pub listen: SocketAddr,
    /// The admin address.
    pub admin: SocketAddr,
    /// The data directory.
    pub data: &'a Path,
    /// What this start made.
    pub made: Made,
    /// Whether the catalogue was filled by this start.
    pub catalogue: bool,
    /// The certificate that clients are to trust: the data directory's own, or `None` for one that they know anyway.
    pub own_certificate: Option<PathBuf>,
    /// This program, as `std::env::current_exe` says.
    pub program: PathBuf,
}

/// The text, ending in a newline. Paths in it are absolute, so that the lines work wherever they are pasted.
pub fn banner(about: &Banner<'_>) -> String {
    let at = reachable(about.listen);
    let data = absolute(about.data);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "\nTidegate listens on https://{} (HTTP/1.1 and HTTP/2); admin: http://{}",
        about.listen, about.admin
    );
    let _ = writeln!(
        text,
        "Console: http://{}/ (to change something there: the token in {})",
        about.admin,
        data.join("admin.token").display()
    );
    if about.made.certificate || about.made.token_key || about.catalogue {
        let _ = writeln!(text, "First start: made in {}:", data.display());
        for (made, what) in [
            (
                about.made.certificate,
                "cert.pem, key.pem  a self-signed certificate for this machine",
            ),
            (
                about.made.token_key,
                "token.key          the key that signs tokens (keep it secret)",
            ),
            (
                about.catalogue,
                "a catalogue        SKU-1 to SKU-1000, a million units each; FLASH-1: 500 units, 2 a buyer",
            ),
        ] {
            if made {
                let _ = writeln!(text, "  {what}");
            }
        }
    }
    let _ = writeln!(text, "\nPlace an order:\n\n{}\n", curl(about, at, &data));
    let _ = writeln!(
        text,
        "Paste it twice: the Idempotency-Key makes it the same order, with the same id. Another key is another order."
    );
    let _ = writeln!(
        text,
        "\nLoad it, and prove that nothing was lost or sold twice:\n\n{}\n",
        loadgen(about, at, &data)
    );
    text
}

fn curl(about: &Banner<'_>, at: SocketAddr, data: &Path) -> String {
    let trust = match &about.own_certificate {
        Some(cert) => format!("--cacert {} ", quoted(&absolute(cert))),
        None => String::new(),
    };
    format!(
        "curl -i {trust}https://{at}/v1/orders \\\n  \
           -H \"Authorization: Bearer $({} token --data {} --user alice)\" \\\n  \
           -H 'Idempotency-Key: my-first-order' -H 'Content-Type: application/json' \\\n  \
           -d '{{\"lines\":[{{\"sku\":\"SKU-1\",\"qty\":1}}]}}'",
        quoted(&about.program),
        quoted(data),
    )
}

/// The generator beside this program if it was built, else through cargo.
fn loadgen(about: &Banner<'_>, at: SocketAddr, data: &Path) -> String {
    let beside = about.program.with_file_name("tidegate-loadgen");
    let program = if beside.exists() {
        quoted(&beside)
    } else {
        "cargo run --release -p tidegate-loadgen --".to_string()
    };
    let key = quoted(&data.join("token.key"));
    format!(
        "{program} run --target https://{at} --token-key {key} \\\n  \
           --rate 2000 --duration 10s --connections 64 --http 1"
    )
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize()
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_path_buf())
}

/// For a POSIX shell.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
