//! A secret is sealed to GitHub's public key before it leaves: an anonymous box of libsodium's, which only GitHub can open.
//! <https://docs.github.com/en/rest/guides/encrypting-secrets-for-the-rest-api>

use std::fmt;

use crypto_box::aead::OsRng;

use super::Value;

/// The key of a repository, an environment or an organisation.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The id that GitHub gives the key.
    pub(super) id: String,
    key: crypto_box::PublicKey,
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

impl PublicKey {
    /// Reads a key as GitHub gives it, in base 64.
    pub(super) fn read(id: &str, key: &str) -> Option<Self> {
        let bytes = aws_smithy_types::base64::decode(key).ok()?;
        Some(Self { id: id.to_owned(), key: crypto_box::PublicKey::from_slice(&bytes).ok()? })
    }

    /// The value in a box, in base 64. Nothing where no randomness is to be had.
    pub(super) fn seal(&self, value: &Value) -> Option<String> {
        let sealed = self.key.seal(&mut OsRng, value.expose().as_bytes()).ok()?;
        Some(aws_smithy_types::base64::encode(sealed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_of_the_key_can_open_a_box_and_no_two_are_alike() {
        let secret = crypto_box::SecretKey::generate(&mut OsRng);
        let key = PublicKey::read("1", &aws_smithy_types::base64::encode(secret.public_key().as_bytes())).unwrap();
        let boxes: Vec<String> = (0..2).filter_map(|_| key.seal(&Value::new("hunter2 ✓"))).collect();
        assert_ne!(boxes[0], boxes[1]);
        for sealed in boxes {
            let sealed = aws_smithy_types::base64::decode(sealed).unwrap();
            assert_eq!(secret.unseal(&sealed).unwrap(), "hunter2 ✓".as_bytes());
            assert!(crypto_box::SecretKey::generate(&mut OsRng).unseal(&sealed).is_err());
        }
    }

    #[test]
    fn what_is_no_key_is_none() {
        for key in ["", "%", "AAAA"] {
            assert!(PublicKey::read("1", key).is_none(), "{key}");
        }
    }
}
