//! A stack's ARN is parsed once, at the edge; everything that depends on the account or the region reads it here.

use crate::arn::Arn;

use std::fmt;

/// The ARN of the stack that sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StackId {
    arn: String,
    partition: String,
    region: String,
    account: String,
    name: String,
}

/// The text is not a stack's ARN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`StackId` is not the ARN of a stack (arn:<partition>:cloudformation:<region>:<account>:stack/<name>/<id>)")]
pub struct NotAStack;

impl StackId {
    /// Parses `arn:<partition>:cloudformation:<region>:<account>:stack/<name>/<id>`.
    ///
    /// # Errors
    /// When the text has another shape.
    pub fn parse(arn: &str) -> Result<Self, NotAStack> {
        let Arn { partition, service, region, account, resource } = Arn::parse(arn).ok_or(NotAStack)?;
        let mut resource = resource.split('/');
        let (kind, name, id) = (resource.next(), resource.next(), resource.next());
        if service != "cloudformation" || kind != Some("stack") || resource.next().is_some() {
            return Err(NotAStack);
        }
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let (Some(name), Some(id)) = (name, id) else { return Err(NotAStack) };
        if ![partition, region, account, name, id].iter().all(|part| !part.is_empty() && plain(part)) {
            return Err(NotAStack);
        }
        Ok(Self {
            arn: arn.to_owned(),
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: account.to_owned(),
            name: name.to_owned(),
        })
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// `aws`, `aws-cn`, `aws-us-gov` …
    #[must_use]
    pub fn partition(&self) -> &str {
        &self.partition
    }

    /// The region of the stack, which is also the region of its response bucket.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The twelve digits of the account.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The name of the stack, 1 to 128 characters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for StackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_gives_partition_region_account_and_name() {
        let stack = StackId::parse("arn:aws-cn:cloudformation:cn-north-1:123456789012:stack/team-a/5b1c-0e").unwrap();
        assert_eq!(
            (stack.partition(), stack.region(), stack.account(), stack.name()),
            ("aws-cn", "cn-north-1", "123456789012", "team-a")
        );
    }

    #[test]
    fn other_texts_are_not_stacks() {
        for text in [
            "",
            "arn:aws:cloudformation:us-east-1:123456789012:stack/a",
            "arn:aws:cloudformation:us-east-1:123456789012:stackset/a/b",
            "arn:aws:cloudformation:us-east-1:123456789012:stack/a/b/c",
            "arn:aws:s3:us-east-1:123456789012:stack/a/b",
            "arn:aws:cloudformation:us-east-1/../x:123456789012:stack/a/b",
            "arn:aws:cloudformation::123456789012:stack/a/b",
        ] {
            assert_eq!(StackId::parse(text), Err(NotAStack), "{text}");
        }
    }
}
