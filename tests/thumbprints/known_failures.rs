//! What the handlers that people use have got wrong; each of these was an issue or a CVE.

use github_trust::resources::oidc_provider::thumbprint::{CaCertificate, ProbeLimits, Roots};

use super::HOST;
use super::looked;
use super::parties::self_signed;
use super::rows::{row, usual};
use super::table::network;

/// The CDK's handler took the first certificate: the server's own, which changes every few weeks.
/// <https://github.com/aws/aws-cdk/issues/8607>
#[tokio::test]
async fn aws_cdk_8607_the_thumbprint_is_that_of_the_top_intermediate() {
    let (root, intermediate, server) = usual();
    let (network, _) = network(&row("the usual", &[&server, &intermediate])).await;
    let look = looked(&network, &Roots::of([root.der.clone()]), None, &ProbeLimits::default()).await.unwrap();
    let found: Vec<&str> = look.thumbprints.iter().map(|thumbprint| thumbprint.hex.as_str()).collect();
    assert_eq!(found, [intermediate.thumbprint()]);
    assert_ne!(found, [server.thumbprint()]);
}

/// The CDK's handler connected with verification turned off, so that any host that answered gave the thumbprint.
/// <https://github.com/aws/aws-cdk/security/advisories/GHSA-v4mq-x674-ff73>
#[tokio::test]
async fn cve_2025_23206_an_unverified_certificate_gives_no_thumbprint() {
    let (root, _, _) = usual();
    let impostor = self_signed(|_| {});
    let (_, intermediate, server) = usual();
    for chain in [vec![&impostor], vec![&server, &intermediate]] {
        let (network, _) = network(&row("an impostor", &chain)).await;
        let refused =
            looked(&network, &Roots::of([root.der.clone()]), None, &ProbeLimits::default()).await.unwrap_err();
        assert!(refused.to_string().starts_with(&format!("{HOST} (")), "{refused}");
        // Nor with a CA of the author's that has not signed it.
        let ca = CaCertificate::parse(&root.pem()).unwrap();
        let public = Roots::of([intermediate.der.clone(), impostor.der.clone()]);
        looked(&network, &public, Some(&ca), &ProbeLimits::default()).await.unwrap_err();
    }
}
