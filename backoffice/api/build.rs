//! Makes the Rust of the protobuf, without protoc.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = protox::compile(["tidegate/v1/backoffice.proto"], ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // For reflection.
    std::fs::write(
        out.join("descriptor.bin"),
        protox::prost::Message::encode_to_vec(&files),
    )?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    println!("cargo:rerun-if-changed=proto");
    Ok(())
}
