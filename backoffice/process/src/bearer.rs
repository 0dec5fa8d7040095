//! The token that an edge sends.

use subtle::ConstantTimeEq as _;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::config::secrets::Secret;

/// Lets calls through that carry the token; all, where none is asked for.
#[derive(Clone, Debug)]
pub struct Bearer {
    token: Option<Secret>,
}

impl Bearer {
    /// For this token.
    #[must_use]
    pub fn new(token: Option<Secret>) -> Bearer {
        Bearer { token }
    }

    /// The time that this takes tells the length of what was sent and nothing of the token.
    fn admits(&self, header: Option<&[u8]>) -> bool {
        let Some(token) = &self.token else { return true };
        let sent = header.and_then(|header| header.strip_prefix(b"Bearer "));
        sent.is_some_and(|sent| bool::from(sent.ct_eq(token.expose().as_bytes())))
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        let header = request.metadata().get("authorization");
        match self.admits(header.map(|header| header.as_bytes())) {
            true => Ok(request),
            false => Err(Status::unauthenticated(
                "the call has no token, or another one: the edge must send what grpc.token_file holds here",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_token_is_let_in_and_everybody_where_none_is_asked_for() {
        let bearer = Bearer::new(Some(Secret::from("0123456789abcdef")));
        assert!(bearer.admits(Some(b"Bearer 0123456789abcdef")));
        for other in [
            &b"0123456789abcdef"[..],
            b"Bearer 0123456789abcde",
            b"Bearer 0123456789abcdeg",
            b"Bearer 0123456789abcdef0",
            b"Bearer ",
            b"",
        ] {
            assert!(!bearer.admits(Some(other)), "{other:?}");
        }
        assert!(!bearer.admits(None));
        assert!(Bearer::new(None).admits(None));
    }
}
