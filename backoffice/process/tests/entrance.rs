//! Who is let in, and what health says, over the gRPC server.

#[path = "support/server.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod server;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use axum::Router;
use server::{Served, channel, client, serve};
use tidegate_api::pb::backoffice_client::BackofficeClient;
use tidegate_process::config::Role;
use tidegate_process::health::Severity;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

async fn health_of(served: &Served, service: &str) -> i32 {
    let mut client = HealthClient::new(channel(served).await);
    let request = HealthCheckRequest {
        service: service.into(),
    };
    client.check(request).await.unwrap().into_inner().status
}

#[tokio::test]
async fn health_is_told_by_role_and_needs_no_token() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let served = serve(&[format!("grpc.token_file={}", token.display())], Router::new()).await;
    let (well, ill) = (ServingStatus::Serving as i32, ServingStatus::NotServing as i32);
    assert_eq!(health_of(&served, "tidegate.v1.Backoffice").await, well);
    served.health.set(Role::Store, Severity::Degraded, "shard 3");
    let begun = Instant::now();
    while health_of(&served, "store").await != ill {
        assert!(begun.elapsed() < Duration::from_secs(5));
    }
    assert_eq!(
        health_of(&served, "tidegate.v1.Backoffice").await,
        well,
        "one shard is not all"
    );
    let refused = client(&served).await.desk(tokio_stream::iter([])).await;
    assert_eq!(refused.expect_err("no token").code(), Code::Unauthenticated);
    let right = |mut request: tonic::Request<()>| {
        let value = "Bearer 0123456789abcdef".parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    };
    let mut client = BackofficeClient::with_interceptor(channel(&served).await, right);
    assert!(client.desk(ReceiverStream::new(mpsc::channel(1).1)).await.is_ok());
}

/// An authority's certificate and a pair that it signed, as PEM.
struct Pair {
    cert: String,
    key: String,
}

struct Authority {
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Authority {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Authority {
            issuer: rcgen::Issuer::new(params, key),
            pem,
        }
    }

    fn sign(&self, name: &str) -> Pair {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        Pair {
            cert: params.signed_by(&key, &self.issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }
}

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn with_an_authority_only_edges_with_its_certificates_are_let_in() {
    let folder = tempfile::tempdir().unwrap();
    let (servers, edges, others) = (Authority::new(), Authority::new(), Authority::new());
    let pair = servers.sign("localhost");
    let cert = write(&folder, "cert.pem", &pair.cert);
    let key = write(&folder, "key.pem", &pair.key);
    let ca = write(&folder, "ca.pem", &edges.pem);
    let set = [
        format!("grpc.cert={}", cert.display()),
        format!("grpc.key={}", key.display()),
        format!("grpc.client_ca={}", ca.display()),
    ];
    let served = serve(&set, Router::new()).await;
    let dial = async |pair: Option<Pair>| {
        let mut tls = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(&servers.pem))
            .domain_name("localhost");
        if let Some(pair) = pair {
            tls = tls.identity(Identity::from_pem(pair.cert, pair.key));
        }
        let endpoint = Channel::from_shared(format!("https://{}", served.address)).unwrap();
        let channel = endpoint.tls_config(tls).unwrap().connect().await;
        let mut client = BackofficeClient::new(channel.map_err(|error| error.to_string())?);
        let desk = client.desk(ReceiverStream::new(mpsc::channel(1).1)).await;
        desk.map(|_| ()).map_err(|status| status.to_string())
    };
    dial(Some(edges.sign("edge-1"))).await.expect("an edge of ours");
    dial(Some(others.sign("edge-1")))
        .await
        .expect_err("of somebody else's");
    dial(None).await.expect_err("without a certificate");
}
