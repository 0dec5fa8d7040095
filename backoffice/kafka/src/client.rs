//! What our clients hear from librdkafka besides answers.

use std::sync::Mutex;

use rdkafka::ClientContext;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;
use rdkafka::types::RDKafkaErrorCode;

/// An entry that no broker took.
#[derive(Clone, Debug)]
pub(crate) struct Undelivered {
    /// `shard:op`.
    pub key: String,
    /// Why.
    pub code: Option<RDKafkaErrorCode>,
}

/// Keeps the last complaint about brokers and the first entry that was not delivered: what the calls themselves do not say.
#[derive(Debug, Default)]
pub(crate) struct Ear {
    complaint: Mutex<Option<String>>,
    undelivered: Mutex<Option<Undelivered>>,
}

impl Ear {
    /// The last complaint, taken.
    pub(crate) fn complaint(&self) -> Option<String> {
        lock(&self.complaint).take()
    }

    /// The first entry that was not delivered, taken.
    pub(crate) fn undelivered(&self) -> Option<Undelivered> {
        lock(&self.undelivered).take()
    }
}

/// Nobody panics while holding one of these.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl ClientContext for Ear {
    fn error(&self, error: KafkaError, reason: &str) {
        // An end is no complaint, though it comes as one.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            *lock(&self.complaint) = Some(reason.into());
        }
    }
}

impl ConsumerContext for Ear {}

impl ProducerContext for Ear {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let Err((error, message)) = result else { return };
        let key = message.key().unwrap_or_default();
        lock(&self.undelivered).get_or_insert_with(|| Undelivered {
            key: String::from_utf8_lossy(key).into_owned(),
            code: error.rdkafka_error_code(),
        });
    }
}
