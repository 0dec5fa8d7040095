//! Moves requests and answers: TLS, HTTP/1.1, HTTP/2, and the pool of connections over monoio.

pub mod h1;
pub mod h2_client;
pub mod link;
pub mod pool;
pub mod runtime;
pub mod session;
pub mod signal;
