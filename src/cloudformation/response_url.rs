//! The pre-signed URL for the response. A reader of it can answer in our place, so that it is a secret; a writer of it
//! could make us send a response anywhere, so that it is checked before it is contacted.

use std::fmt;

use url::{Host, Url};

use super::StackId;
use crate::arn::host_suffix;

/// A pre-signed URL that was checked; its query is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseUrl(Url);

/// The reason that a URL is not contacted. The text holds no part of the query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{member}` is not contacted: {reason} (host {host:?})")]
pub struct Refused {
    /// The member of the event that has the URL.
    pub member: &'static str,
    /// The mistake.
    pub reason: &'static str,
    /// The host it names, for the log.
    pub host: String,
}

impl ResponseUrl {
    /// Accepts CloudFormation's response buckets in the region of the stack, and the one origin
    /// (`http://127.0.0.1:4566`) that the deployment allows besides.
    ///
    /// # Errors
    /// When the URL is anything else: another host, another scheme or port, user information, no signature.
    pub fn check(text: &str, stack: &StackId, allowed_origin: Option<&str>) -> Result<Self, Refused> {
        let is_allowed = |host: &str, path: &str| is_response_bucket(host, path, stack);
        let reason = "its host is not CloudFormation's response bucket in the region of the stack";
        Self::check_host("ResponseURL", text, allowed_origin, is_allowed, reason)
    }

    /// Accepts a pre-signed URL of S3 in this region, for the payload of a hook, by the same rule.
    ///
    /// # Errors
    /// When the URL is anything else.
    pub fn check_payload(
        text: &str,
        partition: &str,
        region: &str,
        allowed_origin: Option<&str>,
    ) -> Result<Self, Refused> {
        let is_allowed = |host: &str, _: &str| {
            let mut services = regional_hosts(partition, region);
            // S3 sends requests by its global name from there to the region of any bucket.
            if region == "us-east-1" {
                services.extend(global_host(partition));
            }
            services.iter().any(|service| host == service || host.ends_with(&format!(".{service}")))
        };
        let reason = "its host is not S3 in the region of the function";
        Self::check_host("payload", text, allowed_origin, is_allowed, reason)
    }

    fn check_host(
        member: &'static str,
        text: &str,
        allowed_origin: Option<&str>,
        is_allowed: impl Fn(&str, &str) -> bool,
        reason: &'static str,
    ) -> Result<Self, Refused> {
        let refuse = |reason, host: &str| Err(Refused { member, reason, host: host.to_owned() });
        let Ok(url) = Url::parse(text) else { return refuse("it is not a URL", "") };
        let host = url.host_str().unwrap_or_default().to_owned();
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("it carries user information", &host);
        }
        if url.query().is_none() {
            return refuse("it carries no signature", &host);
        }
        if allowed_origin.is_some_and(|origin| url.origin().ascii_serialization() == origin.trim_end_matches('/')) {
            return Ok(Self(url));
        }
        if url.scheme() != "https" {
            return refuse("its scheme is not https", &host);
        }
        // `port()` is `None` for the scheme's own port, written or not.
        if url.port().is_some() {
            return refuse("its port is not 443", &host);
        }
        let Some(Host::Domain(domain)) = url.host() else { return refuse("its host is an address", &host) };
        if !is_allowed(domain, url.path()) {
            return refuse(reason, &host);
        }
        Ok(Self(url))
    }

    /// The URL with its signature, for the one request that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.as_str()
    }

    /// Seconds since the epoch at which the signature ends, where the URL says so: `X-Amz-Date` + `X-Amz-Expires`
    /// (signature version 4) or `Expires` (version 2).
    #[must_use]
    pub fn expires_at(&self) -> Option<u64> {
        let value = |name: &str| {
            self.0.query_pairs().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.into_owned())
        };
        if let Some(expires) = value("Expires") {
            return expires.parse().ok();
        }
        signed_at(&value("X-Amz-Date")?)?.checked_add(value("X-Amz-Expires")?.parse().ok()?)
    }

    /// Seconds since the epoch at which CloudFormation signed the URL, where it says so: the moment from which
    /// `ServiceTimeout` counts.
    #[must_use]
    pub fn signed_at(&self) -> Option<u64> {
        self.0
            .query_pairs()
            .find(|(key, _)| key.eq_ignore_ascii_case("X-Amz-Date"))
            .and_then(|(_, date)| signed_at(&date))
    }
}

fn signed_at(date: &str) -> Option<u64> {
    let format = time::macros::format_description!("[year][month][day]T[hour][minute][second]Z");
    let date = time::PrimitiveDateTime::parse(date, format).ok()?;
    u64::try_from(date.assume_utc().unix_timestamp()).ok()
}

impl fmt::Debug for ResponseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseUrl(…)")
    }
}

/// `cloudformation-custom-resource-response-<region without dashes>`, addressed as a host of S3 in that region or, as in
/// older stacks, by the global name of S3; both also as the first part of the path.
fn is_response_bucket(host: &str, path: &str, stack: &StackId) -> bool {
    let region = stack.region();
    let bucket = format!("cloudformation-custom-resource-response-{}", region.replace('-', ""));
    let services = regional_hosts(stack.partition(), region).into_iter().chain(global_host(stack.partition()));
    services.into_iter().any(|service| {
        host == format!("{bucket}.{service}")
            || (host == service && path.strip_prefix('/').and_then(|path| path.split('/').next()) == Some(&*bucket))
    })
}

/// The hosts of S3 in a region; none in an unknown partition.
///
/// <https://docs.aws.amazon.com/general/latest/gr/s3.html>
fn regional_hosts(partition: &str, region: &str) -> Vec<String> {
    let Some(suffix) = host_suffix(partition) else { return Vec::new() };
    let names = ["s3.", "s3-", "s3.dualstack.", "s3-fips.", "s3-fips.dualstack."];
    names.iter().map(|name| format!("{name}{region}.{suffix}")).collect()
}

/// The host of S3 that names no region.
fn global_host(partition: &str) -> Option<String> {
    host_suffix(partition).map(|suffix| format!("s3.{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(region: &str) -> StackId {
        let prefixes = [
            ("cn-", "aws-cn"),
            ("us-gov-", "aws-us-gov"),
            ("eusc-", "aws-eusc"),
            ("us-iso-", "aws-iso"),
            ("us-isob-", "aws-iso-b"),
            ("eu-isoe-", "aws-iso-e"),
            ("us-isof-", "aws-iso-f"),
            ("xx-", "aws-xx"),
        ];
        let partition = prefixes.iter().find(|(prefix, _)| region.starts_with(prefix)).map_or("aws", |(_, name)| name);
        StackId::parse(&format!("arn:{partition}:cloudformation:{region}:123456789012:stack/s/1")).unwrap()
    }

    #[test]
    fn the_response_buckets_of_the_stacks_region_are_accepted() {
        for (region, url) in [
            ("us-east-1", "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/k?X-Amz-Date=1"),
            ("eu-west-1", "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/k?a=1"),
            ("eu-west-1", "https://cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com/k?a=1"),
            ("eu-west-1", "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com:443/k?a"),
            ("us-east-1", "https://s3.us-east-1.amazonaws.com/cloudformation-custom-resource-response-useast1/k?a=1"),
            (
                "cn-north-1",
                "https://cloudformation-custom-resource-response-cnnorth1.s3.cn-north-1.amazonaws.com.cn/?a",
            ),
            (
                "us-gov-west-1",
                "https://cloudformation-custom-resource-response-usgovwest1.s3.us-gov-west-1.amazonaws.com/?a",
            ),
            (
                "eusc-de-east-1",
                "https://cloudformation-custom-resource-response-euscdeeast1.s3.eusc-de-east-1.amazonaws.eu/?a",
            ),
            (
                "us-iso-east-1",
                "https://cloudformation-custom-resource-response-usisoeast1.s3.us-iso-east-1.c2s.ic.gov/?a",
            ),
            (
                "us-isob-east-1",
                "https://s3.us-isob-east-1.sc2s.sgov.gov/cloudformation-custom-resource-response-usisobeast1/?a",
            ),
            (
                "eu-isoe-west-1",
                "https://cloudformation-custom-resource-response-euisoewest1.s3.eu-isoe-west-1.cloud.adc-e.uk/?a",
            ),
            (
                "us-isof-south-1",
                "https://cloudformation-custom-resource-response-usisofsouth1.s3.us-isof-south-1.csp.hci.ic.gov/?a",
            ),
        ] {
            assert!(ResponseUrl::check(url, &stack(region), None).is_ok(), "{url}");
        }
    }

    #[test]
    fn the_hosts_of_another_partition_or_of_an_unknown_one_are_refused() {
        for (region, url) in [
            (
                "eusc-de-east-1",
                "https://cloudformation-custom-resource-response-euscdeeast1.s3.eusc-de-east-1.amazonaws.com/?a",
            ),
            ("us-east-1", "https://cloudformation-custom-resource-response-useast1.s3.us-east-1.amazonaws.eu/?a"),
            ("xx-east-1", "https://cloudformation-custom-resource-response-xxeast1.s3.xx-east-1.amazonaws.com/?a"),
        ] {
            assert!(ResponseUrl::check(url, &stack(region), None).is_err(), "{url}");
        }
    }

    #[test]
    fn anything_else_is_refused_and_the_refusal_holds_nothing_of_the_query() {
        const BUCKET: &str = "cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com";
        for (url, reason) in [
            (format!("http://{BUCKET}/?X-Amz-Signature=s3cr3t"), "https"),
            (format!("https://{BUCKET}:8443/?X-Amz-Signature=s3cr3t"), "443"),
            (format!("https://me:s3cr3t@{BUCKET}/?X-Amz-Signature=s3cr3t"), "user information"),
            (format!("https://{BUCKET}/"), "no signature"),
            (format!("https://{BUCKET}.evil.example/?X-Amz-Signature=s3cr3t"), "response bucket"),
            (format!("https://evil.example/{BUCKET}?X-Amz-Signature=s3cr3t"), "response bucket"),
            (
                format!("https://evil.example/{}/k?X-Amz-Signature=s3cr3t", BUCKET.split('.').next().unwrap()),
                "response bucket",
            ),
            ("https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/?s3cr3t".into(), "region"),
            ("https://s3.eu-west-1.amazonaws.com/other-bucket/k?s3cr3t".into(), "response bucket"),
            ("https://169.254.169.254/?s3cr3t".into(), "address"),
            ("https://[::1]/?s3cr3t".into(), "address"),
            ("s3cr3t".into(), "not a URL"),
            ("file:///etc/passwd?s3cr3t".into(), "https"),
        ] {
            let refused = ResponseUrl::check(&url, &stack("eu-west-1"), None).unwrap_err().to_string();
            assert!(refused.contains(reason), "{url}: {refused}");
            assert!(!refused.contains("s3cr3t"), "{refused}");
        }
    }

    #[test]
    fn a_payload_comes_from_s3_in_the_region_and_from_nowhere_else() {
        for (url, accepted) in [
            ("https://bucket.s3.eu-west-1.amazonaws.com/k?X-Amz-Signature=1", true),
            ("https://s3.eu-west-1.amazonaws.com/bucket/k?X-Amz-Signature=1", true),
            ("https://bucket.s3-eu-west-1.amazonaws.com/k?X-Amz-Signature=1", true),
            ("https://s3-eu-west-1.amazonaws.com/bucket/k?X-Amz-Signature=1", true),
            ("https://bucket.s3.dualstack.eu-west-1.amazonaws.com/k?X-Amz-Signature=1", true),
            ("https://s3.dualstack.eu-west-1.amazonaws.com/bucket/k?X-Amz-Signature=1", true),
            ("https://bucket.s3-fips.eu-west-1.amazonaws.com/k?X-Amz-Signature=1", true),
            ("https://bucket.s3-fips.dualstack.eu-west-1.amazonaws.com/k?X-Amz-Signature=1", true),
            ("https://a.b.c.s3.eu-west-1.amazonaws.com:443/k?X-Amz-Signature=1", true),
            ("https://bucket.s3.amazonaws.com/k?X-Amz-Signature=1", false),
            ("https://s3.amazonaws.com/bucket/k?X-Amz-Signature=1", false),
            ("https://bucket.s3.us-east-1.amazonaws.com/k?X-Amz-Signature=1", false),
            ("https://bucket.s3.eu-west-1.amazonaws.com.cn/k?X-Amz-Signature=1", false),
            ("https://bucket.s3-website.eu-west-1.amazonaws.com/k?X-Amz-Signature=1", false),
            ("https://bucket.s3-accesspoint.eu-west-1.amazonaws.com/k?X-Amz-Signature=1", false),
            ("https://bucket.s3.eu-west-1.amazonaws.com/k", false),
            ("http://bucket.s3.eu-west-1.amazonaws.com/k?X-Amz-Signature=1", false),
            ("https://evils3.eu-west-1.amazonaws.com/k?X-Amz-Signature=1", false),
            ("https://s3.eu-west-1.amazonaws.com.evil.example/k?X-Amz-Signature=1", false),
            ("https://169.254.169.254/k?X-Amz-Signature=1", false),
            ("https://127.0.0.1:9001/k?X-Amz-Signature=1", false),
        ] {
            assert_eq!(ResponseUrl::check_payload(url, "aws", "eu-west-1", None).is_ok(), accepted, "{url}");
        }
    }

    /// The name of S3 without a region tells no region, and S3 sends the others from us-east-1 to their own.
    #[test]
    fn the_global_name_of_s3_is_that_of_one_region() {
        for (partition, region, url, accepted) in [
            ("aws", "us-east-1", "https://bucket.s3.amazonaws.com/k?X-Amz-Signature=1", true),
            ("aws", "us-east-1", "https://s3.amazonaws.com/bucket/k?X-Amz-Signature=1", true),
            ("aws", "us-east-1", "https://bucket.s3-eu-west-1.amazonaws.com/k?X-Amz-Signature=1", false),
            ("aws", "us-west-2", "https://bucket.s3.amazonaws.com/k?X-Amz-Signature=1", false),
            ("aws-cn", "cn-north-1", "https://bucket.s3.cn-north-1.amazonaws.com.cn/k?X-Amz-Signature=1", true),
            ("aws-cn", "cn-north-1", "https://bucket.s3.amazonaws.com.cn/k?X-Amz-Signature=1", false),
            ("aws-us-gov", "us-gov-west-1", "https://bucket.s3.us-gov-west-1.amazonaws.com/k?X-Amz-Signature=1", true),
            ("aws-us-gov", "us-gov-west-1", "https://bucket.s3.amazonaws.com/k?X-Amz-Signature=1", false),
            ("aws-xx", "xx-east-1", "https://bucket.s3.xx-east-1.amazonaws.com/k?X-Amz-Signature=1", false),
        ] {
            assert_eq!(ResponseUrl::check_payload(url, partition, region, None).is_ok(), accepted, "{url}");
        }
    }

    #[test]
    fn one_more_origin_is_let_in_only_where_the_deployment_says_so() {
        let url = "http://127.0.0.1:4566/bucket/key?X-Amz-Signature=1";
        assert!(ResponseUrl::check(url, &stack("us-east-1"), None).is_err());
        assert!(ResponseUrl::check(url, &stack("us-east-1"), Some("http://127.0.0.1:4566")).is_ok());
        assert!(ResponseUrl::check(url, &stack("us-east-1"), Some("http://127.0.0.1:4567")).is_err());
        assert!(ResponseUrl::check(url, &stack("us-east-1"), Some("https://127.0.0.1:4566")).is_err());
    }

    #[test]
    fn a_response_url_never_shows_itself() {
        let url = ResponseUrl::check(
            "https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/k?X-Amz-Signature=s3cr3t",
            &stack("us-east-1"),
            None,
        );
        assert_eq!(format!("{url:?}"), "Ok(ResponseUrl(…))");
    }

    #[test]
    fn the_url_says_when_it_ends() {
        let at = |query: &str| {
            let url = format!("https://cloudformation-custom-resource-response-useast1.s3.amazonaws.com/k?{query}");
            ResponseUrl::check(&url, &stack("us-east-1"), None).unwrap().expires_at()
        };
        assert_eq!(at("X-Amz-Date=20261121T000000Z&X-Amz-Expires=7200"), Some(1_795_226_400));
        assert_eq!(at("AWSAccessKeyId=A&Expires=1795226400&Signature=x"), Some(1_795_226_400));
        assert_eq!(at("X-Amz-Signature=x"), None);
        assert_eq!(at("X-Amz-Date=yesterday&X-Amz-Expires=7200"), None);
    }
}
