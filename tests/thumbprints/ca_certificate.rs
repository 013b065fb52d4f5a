//! What an author may write as `CaCertificate`.

use github_trust::resources::oidc_provider::thumbprint::CaCertificate;

use super::parties::{pem, root};

#[test]
fn one_to_five_certificates_are_taken_whatever_stands_around_them() {
    let roots: Vec<String> = (0..5).map(|number| root(&format!("Root {number}")).pem()).collect();
    for count in 1..=5 {
        let text = format!("# our CA\n{}\n", roots[..count].join("\nnext:\n"));
        CaCertificate::parse(&text).unwrap();
        CaCertificate::parse(&text.replace('\n', "\r\n")).unwrap();
    }
    let (forwards, backwards) = (roots.concat(), roots.iter().rev().cloned().collect::<String>());
    assert_eq!(CaCertificate::parse(&forwards), CaCertificate::parse(&backwards), "order means nothing");
    assert_eq!(CaCertificate::parse(&roots[0].repeat(6)), CaCertificate::parse(&roots[0]), "nor does repetition");
}

#[test]
fn anything_else_is_refused_with_what_is_allowed() {
    let six: String = (0..6).map(|number| root(&format!("Root {number}")).pem()).collect();
    let one = root("Root").pem();
    let private = "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n";
    for (text, expected) in [
        (String::new(), "1 to 5"),
        ("not PEM".to_owned(), "1 to 5"),
        (six, "1 to 5"),
        (one.replace("END", "ENDE"), "in PEM"),
        (one.replace("-----\n", "-----\n!"), "in PEM"),
        (pem(b"no certificate"), "X.509"),
        (format!("{one}{private}"), "no private key"),
        (one.repeat(100), "16 KiB"),
    ] {
        let refused = CaCertificate::parse(&text).unwrap_err();
        assert!(refused.contains(expected), "{expected}: {refused}");
        assert!(!refused.contains("MIGH"), "nothing of it is repeated");
    }
}
