//! Amazon Resource Names. <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html>

use std::fmt;

/// An ARN by its parts: `arn:<partition>:<service>:<region>:<account>:<resource>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arn<'a> {
    /// `aws`, `aws-cn`, `aws-us-gov` …
    pub partition: &'a str,
    /// `iam`, `eks` …
    pub service: &'a str,
    /// Empty for global services.
    pub region: &'a str,
    /// Twelve digits, or `aws` for a managed policy of AWS.
    pub account: &'a str,
    /// The resource, which may hold colons and slashes.
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    /// Splits an ARN into its parts.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let ["arn", partition, service, region, account, resource] = parts(text)? else { return None };
        Some(Self { partition, service, region, account, resource })
    }

    /// Returns the resource behind its type: `octo` of `role/octo` for the type `role`.
    #[must_use]
    pub fn resource_of(&self, kind: &str) -> Option<&'a str> {
        self.resource.strip_prefix(kind)?.strip_prefix('/').filter(|name| !name.is_empty())
    }

    /// Returns the name of an IAM role, without its path.
    #[must_use]
    pub fn role_name(&self) -> Option<&'a str> {
        self.resource_of("role").filter(|_| self.service == "iam")?.rsplit('/').next()
    }

    /// Returns true if the account is the twelve digits of one.
    #[must_use]
    pub fn has_account_id(&self) -> bool {
        self.account.len() == 12 && self.account.bytes().all(|byte| byte.is_ascii_digit())
    }
}

impl fmt::Display for Arn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, service, region, account, resource } = self;
        write!(f, "arn:{partition}:{service}:{region}:{account}:{resource}")
    }
}

/// Splits the six parts of an ARN, or of a pattern of ARNs.
#[must_use]
pub fn parts(text: &str) -> Option<[&str; 6]> {
    let mut parts = text.splitn(6, ':');
    let mut next = || parts.next();
    Some([next()?, next()?, next()?, next()?, next()?, next()?])
}

/// Returns the issuer of the OIDC provider that an ARN names, without `https://`.
#[must_use]
pub fn issuer_of_provider(provider_arn: &str) -> Option<&str> {
    Arn::parse(provider_arn)?.resource_of("oidc-provider")
}

/// The partitions and the ends of their hosts. Source: botocore, `data/partitions.json`.
const SUFFIXES: [(&str, &str); 8] = [
    ("aws", "amazonaws.com"),
    ("aws-cn", "amazonaws.com.cn"),
    ("aws-us-gov", "amazonaws.com"),
    ("aws-eusc", "amazonaws.eu"),
    ("aws-iso", "c2s.ic.gov"),
    ("aws-iso-b", "sc2s.sgov.gov"),
    ("aws-iso-e", "cloud.adc-e.uk"),
    ("aws-iso-f", "csp.hci.ic.gov"),
];

/// The end of the hosts of a partition, as `AWS::URLSuffix` has it; `None` for an unknown one.
#[must_use]
pub fn host_suffix(partition: &str) -> Option<&'static str> {
    SUFFIXES.iter().find(|(name, _)| *name == partition).map(|(_, suffix)| *suffix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_is_split_into_its_parts_and_written_again() {
        for text in [
            "arn:aws:iam::123456789012:role/ci/deploy",
            "arn:aws-cn:iam::aws:policy/ReadOnlyAccess",
            "arn:aws:eks:eu-west-1:123456789012:access-entry/c/role/1/a:b/2",
        ] {
            assert_eq!(Arn::parse(text).unwrap().to_string(), text);
        }
        for text in ["", "arn", "role/deploy", "arn:aws:iam::123456789012", "urn:aws:iam::123456789012:role/x"] {
            assert_eq!(Arn::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_resource_is_found_behind_its_type() {
        let role = Arn::parse("arn:aws:iam::123456789012:role/ci/deploy").unwrap();
        assert_eq!((role.role_name(), role.resource_of("role")), (Some("deploy"), Some("ci/deploy")));
        assert_eq!((role.resource_of("rol"), role.resource_of("user")), (None, None));
        let provider = "arn:aws:iam::123456789012:oidc-provider/ghe.example/_services/token";
        assert_eq!(issuer_of_provider(provider), Some("ghe.example/_services/token"));
        assert_eq!(issuer_of_provider("arn:aws:iam::123456789012:oidc-provider/"), None);
    }
}
