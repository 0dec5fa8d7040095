//! Session tickets (RFC 8446, section 4.6.1; RFC 5077) under keys from a file, so that they outlive a restart and are good on every machine that has the file.
//!
//! The file has one key a line: 64 hexadecimal digits (`openssl rand -hex 32`); empty lines and lines that begin with `#` are
//! skipped. The first key seals; every key opens. Rotation is a new first line at least once a day, the old
//! one kept for another: a ticket is worth no more than its key's secrecy.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{digest, rand};
use rustls::server::ProducesTickets;

/// Bytes of a ticket that say which key sealed it.
const NAME_LEN: usize = 16;
/// Bytes a sealed ticket is longer than its content: name, nonce, tag.
const TAG_LEN: usize = 16;
/// Keys of one file, at most; each is tried by name only.
const KEYS_MAX: usize = 16;
/// What clients are told: a ticket is good for 12 hours, half of the day a key is expected to be first.
const LIFETIME_S: u32 = 12 * 3600;

/// The keys of the file, replaced whole.
pub(super) struct FileTickets {
    keys: RwLock<Arc<Vec<Key>>>,
}

struct Key {
    name: [u8; NAME_LEN],
    seal: LessSafeKey,
}

/// What rustls is given.
pub(super) struct Tickets {
    pub(super) file: Arc<FileTickets>,
    /// What must be the same as when the ticket was sealed, beside the key.
    pub(super) binding: Vec<u8>,
}

impl Tickets {
    /// What a ticket is sealed with but does not carry.
    fn bound(&self, key: &Key) -> Aad<Vec<u8>> {
        Aad::from([&key.name[..], &self.binding].concat())
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}

impl FileTickets {
    pub(super) fn read(path: &Path) -> Result<FileTickets, String> {
        Ok(FileTickets {
            keys: RwLock::new(Arc::new(read_keys(path)?)),
        })
    }

    pub(super) fn reload(&self, path: &Path) -> Result<(), String> {
        let keys = read_keys(path)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }

    fn keys(&self) -> Arc<Vec<Key>> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_S
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let keys = self.file.keys();
        let key = keys.first()?;
        let mut nonce = [0; NONCE_LEN];
        // Random 96-bit nonces are safe for 2^32 tickets under one key (NIST SP 800-38D, section 8.3): at
        // 5,000 handshakes a second, ten days; keys rotate daily.
        rand::fill(&mut nonce).ok()?;
        let mut ticket = Vec::with_capacity(NAME_LEN + NONCE_LEN + plain.len() + TAG_LEN);
        ticket.extend_from_slice(&key.name);
        ticket.extend_from_slice(&nonce);
        let mut sealed = plain.to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal
            .seal_in_place_append_tag(nonce, self.bound(key), &mut sealed)
            .ok()?;
        ticket.extend_from_slice(&sealed);
        Some(ticket)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_at_checked(NAME_LEN)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let keys = self.file.keys();
        let key = keys.iter().find(|key| key.name == name)?;
        let mut plain = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = key
            .seal
            .open_in_place(nonce, self.bound(key), &mut plain)
            .ok()?
            .len();
        plain.truncate(length);
        Some(plain)
    }
}

fn read_keys(path: &Path) -> Result<Vec<Key>, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let mut keys = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bytes = parse_hex(line).ok_or_else(|| {
            format!(
                "{name}:{}: expected 64 hexadecimal digits (openssl rand -hex 32)",
                number + 1
            )
        })?;
        keys.push(Key::new(&bytes));
    }
    if keys.is_empty() || keys.len() > KEYS_MAX {
        return Err(format!(
            "{name}: holds {} keys, expected 1 to {KEYS_MAX}",
            keys.len()
        ));
    }
    Ok(keys)
}

impl Key {
    fn new(bytes: &[u8; 32]) -> Key {
        let hash = digest::digest(&digest::SHA256, bytes);
        let name = hash.as_ref()[..NAME_LEN]
            .try_into()
            .expect("SHA-256 has 32 bytes");
        let key = UnboundKey::new(&AES_256_GCM, bytes).expect("32 bytes are an AES-256 key");
        Key {
            name,
            seal: LessSafeKey::new(key),
        }
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = (digit(pair[0])? * 16 + digit(pair[1])?) as u8;
    }
    Some(bytes)
}
