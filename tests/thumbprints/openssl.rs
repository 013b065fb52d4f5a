//! What `openssl s_client -showcerts` shows of a server, where there is an `openssl`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::NOW;
use super::parties::{Party, thumbprint};

/// What one connection showed.
pub(super) struct Shown {
    /// The thumbprint of the last certificate.
    pub(super) last: Option<String>,
    /// Whether it verified the chain, and connected.
    pub(super) verified: bool,
}

pub(super) fn is_there() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    if !there {
        eprintln!("THERE IS NO `openssl` HERE: thumbprints are compared with the recorded table only");
    }
    there
}

pub(super) fn connect(server: SocketAddr, host: &str, trusted: &[Party], file: &str) -> Shown {
    let bundle = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{file}.pem"));
    std::fs::write(&bundle, trusted.iter().map(Party::pem).collect::<String>()).unwrap();
    let output = Command::new("openssl")
        .args(["s_client", "-showcerts", "-connect", &server.to_string(), "-servername", host])
        .args(["-verify_hostname", host, "-attime", &NOW.to_string()])
        // Like rustls: whatever is trusted is trusted as it is, whether it signs itself or not.
        .args(["-partial_chain", "-no-CApath", "-no-CAstore", "-CAfile"])
        .arg(&bundle)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    std::fs::remove_file(bundle).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let certificates: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(&output.stdout).filter_map(Result::ok).collect();
    // "Server certificate" repeats the first one below the chain where `-showcerts` is not given.
    Shown {
        last: certificates.last().map(|certificate| thumbprint(certificate)),
        verified: output.status.success() && text.contains("Verify return code: 0 (ok)"),
    }
}
