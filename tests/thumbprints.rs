//! Thumbprints of real TLS servers on the loopback interface, compared with what `openssl` shows of the same servers.

mod addresses;
mod ca_certificate;
mod discovery;
mod known_failures;
mod network;
mod openssl;
mod outward;
mod parties;
mod rows;
mod table;

use std::time::{Duration, SystemTime};

use github_trust::aws::Deadline;
use github_trust::github::Issuer;
use github_trust::resources::oidc_provider::thumbprint::{
    CaCertificate, Network, ProbeContext, ProbeError, ProbeLimits, ProbeResult, Roots, probe_issuer,
};

/// The issuer of most tests; an Enterprise Server's.
const HOST: &str = "github.example.com";
const ISSUER: &str = "https://github.example.com/_services/token";

/// 2026-06-01T00:00:00Z: all certificates are made around this moment.
const NOW: u64 = 1_780_272_000;

async fn looked<N: Network>(
    network: &N,
    public: &Roots,
    ca: Option<&CaCertificate>,
    policy: &ProbeLimits,
) -> Result<ProbeResult, ProbeError> {
    let context = ProbeContext {
        network,
        public,
        policy,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(NOW),
        deadline: Deadline::until(tokio::time::Instant::now() + Duration::from_mins(5)),
    };
    probe_issuer(&Issuer::parse(ISSUER).unwrap(), ca, &context).await
}
