//! What an edge and a backoffice in another process say to each other: protobuf over gRPC, and how it becomes the types of the rooms on both
//! sides.

/// The messages and the service, as `proto/tidegate/v1/backoffice.proto` describes them.
#[allow(missing_docs, reason = "the .proto documents them")]
pub mod pb {
    tonic::include_proto!("tidegate.v1");
}

/// The description that reflection serves: a `FileDescriptorSet`.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptor.bin"));

/// The version of the protocol, told in an edge's hello.
pub const VERSION: u32 = 1;

pub mod convert;

pub use convert::Malformed;
