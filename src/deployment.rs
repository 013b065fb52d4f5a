//! The place of the function: partition, region and account.

use crate::arn::Arn;

/// The account and region that the function works in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// `aws`, `aws-cn`, `aws-us-gov` …
    pub partition: String,
    /// The region, for EKS.
    pub region: String,
    /// The twelve digits of the account.
    pub account: String,
    /// The path of roles whose declaration names none.
    pub role_path: String,
    /// The permissions boundary of roles whose declaration names none, where the deployment demands one.
    pub role_boundary: Option<String>,
}

impl Deployment {
    /// Returns the ARN of a resource of IAM in this account, such as `role/ci/deploy`.
    #[must_use]
    pub fn iam_arn(&self, resource: &str) -> String {
        let Self { partition, account, region: _, role_path: _, role_boundary: _ } = self;
        Arn { partition, service: "iam", region: "", account, resource }.to_string()
    }
}

/// The log stream of this process, as Lambda tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStream {
    /// The log group.
    pub group: String,
    /// The name, such as `2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef`.
    pub name: String,
}

impl LogStream {
    /// Returns the address of the stream in the console, in partitions whose console is known.
    #[must_use]
    pub fn console_url(&self, here: &Deployment) -> Option<String> {
        let domain = match here.partition.as_str() {
            "aws" => "console.aws.amazon.com",
            "aws-cn" => "console.amazonaws.cn",
            "aws-us-gov" => "console.amazonaws-us-gov.com",
            _ => return None,
        };
        let (region, group, name) = (&here.region, fragment(&self.group), fragment(&self.name));
        Some(format!(
            "https://{region}.{domain}/cloudwatch/home?region={region}#logsV2:log-groups/log-group/{group}/log-events/{name}"
        ))
    }
}

/// Encodes a name as the console's fragments want it: percent-encoded twice, with `$` for the outer `%`.
fn fragment(name: &str) -> String {
    use std::fmt::Write as _;
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _infallible = write!(text, "$25{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(partition: &str, region: &str) -> Option<String> {
        let here = Deployment {
            partition: partition.to_owned(),
            region: region.to_owned(),
            account: "111122223333".to_owned(),
            role_path: "/".to_owned(),
            role_boundary: None,
        };
        let stream = "2026/11/21/[$LATEST]0123456789abcdef0123456789abcdef";
        LogStream { group: "/aws/lambda/github-trust".to_owned(), name: stream.to_owned() }.console_url(&here)
    }

    #[test]
    fn a_log_stream_has_an_address_where_the_console_is_known() {
        let expected = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/\
                        $252Faws$252Flambda$252Fgithub-trust/log-events/\
                        2026$252F11$252F21$252F$255B$2524LATEST$255D0123456789abcdef0123456789abcdef";
        assert_eq!(url("aws", "eu-west-1").as_deref(), Some(expected));
        assert!(url("aws-cn", "cn-north-1").unwrap().starts_with("https://cn-north-1.console.amazonaws.cn/"));
        assert!(
            url("aws-us-gov", "us-gov-west-1")
                .unwrap()
                .starts_with("https://us-gov-west-1.console.amazonaws-us-gov.com/")
        );
        assert_eq!(url("aws-iso", "us-iso-east-1"), None);
    }
}
