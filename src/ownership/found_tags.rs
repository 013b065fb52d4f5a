//! The state of an adopted object before its adoption, in its own tags: Base64, in pieces of the length of a tag's value.

use aws_smithy_types::base64;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::owner::{Tags, digest};

/// Begins the keys of the tags that hold a former state.
const KEY: &str = "github-trust:found:";
/// The longest value of a tag.
const VALUE: usize = 256;
/// The characters of the digest in front, which tells that a piece is missing.
const DIGEST: usize = 8;
/// Ends the digest.
const END: char = '.';

/// Returns true if the tag holds a piece of a former state.
#[must_use]
pub(crate) fn is_chunk(key: &str) -> bool {
    key.starts_with(KEY)
}

/// Writes a former state.
pub(crate) fn write(found: &impl Serialize) -> Tags {
    let text = base64::encode(serde_json::to_vec(found).unwrap_or_default());
    let text = format!("{}{END}{text}", digest(&[&text], DIGEST));
    let pieces = text.as_bytes().chunks(VALUE).enumerate();
    pieces.map(|(index, piece)| (format!("{KEY}{index:02}"), String::from_utf8_lossy(piece).into_owned())).collect()
}

/// Reads a former state; nothing where it is not there as it was written.
#[must_use]
pub(crate) fn read<T: DeserializeOwned>(tags: &Tags) -> Option<T> {
    let text: String = tags.iter().filter(|(key, _)| is_chunk(key)).map(|(_, piece)| piece.as_str()).collect();
    let (known, text) = text.split_once(END)?;
    (known == digest(&[text], DIGEST)).then_some(())?;
    serde_json::from_slice(&base64::decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_former_state_survives_its_tags_and_a_damaged_one_is_not_read() {
        let found = vec!["a policy".to_owned(); 200];
        let mut tags = write(&found);
        assert!(tags.len() > 10 && tags.values().all(|value| value.len() <= VALUE));
        assert_eq!(read::<Vec<String>>(&tags), Some(found));
        tags.remove("github-trust:found:03");
        assert_eq!(read::<Vec<String>>(&tags), None);
        assert_eq!(read::<Vec<String>>(&Tags::new()), None);
    }
}
