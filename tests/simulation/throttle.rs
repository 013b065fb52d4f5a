//! How AWS throttles: each operation has a bucket of tokens that fills at a steady rate; a call takes one, or is refused.
//!
//! - IAM "independently implement\[s\] a token bucket algorithm for throttling, in which a bucket of virtual tokens is
//!   refilled every second", whose size and rate depend on the operation
//!   (<https://aws.amazon.com/blogs/security/how-to-monitor-and-query-iam-resources-at-scale-part-2/>). The rates are not
//!   published, and cannot be raised.
//! - EKS publishes none either.
//! - Secrets Manager publishes its own: 10,000 reads of a value a second, and 50 changes.
//!   <https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html>
//!
//! What is not published is assumed to be 10 a second with a burst of 20 for reads, and half of that for changes. That is
//! less than AWS publishes for a similar operation elsewhere (ECS lets in a burst of 50 `DescribeClusters`), so that a run
//! which is quick enough here should be so there. It was not measured at AWS.

use std::collections::BTreeMap;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) burst: f64,
}

impl Rate {
    fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst }
    }
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    /// When it was last looked into.
    at: Duration,
}

/// The buckets of an account, by service and operation.
#[derive(Debug)]
pub(crate) struct Throttles {
    /// What all rates that are not published are multiplied with.
    scale: f64,
    buckets: BTreeMap<(&'static str, String), Bucket>,
    /// How many calls were refused.
    pub(crate) refused: usize,
    /// In seconds: the wait that a refused client is asked for, if any.
    pub(crate) retry_after: Option<u64>,
}

impl Throttles {
    /// The rates of the module, some times as fast where they are assumed.
    pub(crate) fn scaled(scale: f64) -> Self {
        Self { scale, buckets: BTreeMap::new(), refused: 0, retry_after: None }
    }

    /// The rate of an operation; nothing where it is not throttled.
    fn rate(&self, service: &str, action: &str) -> Option<Rate> {
        let reads = ["Get", "List", "Describe"].iter().any(|reading| action.starts_with(reading));
        match service {
            "iam" | "eks" if reads => Some(Rate::new(10.0 * self.scale, 20.0 * self.scale)),
            "iam" | "eks" => Some(Rate::new(5.0 * self.scale, 10.0 * self.scale)),
            "secretsmanager" if action == "GetSecretValue" => Some(Rate::new(10_000.0, 10_000.0)),
            "secretsmanager" => Some(Rate::new(50.0, 50.0)),
            _ => None,
        }
    }

    /// Whether a call that arrives now is let in.
    pub(crate) fn admits(&mut self, service: &'static str, action: &str, now: Duration) -> bool {
        let Some(Rate { per_second, burst }) = self.rate(service, action) else { return true };
        // However little, one call can be made at once.
        let burst = burst.max(1.0);
        let bucket =
            self.buckets.entry((service, action.to_owned())).or_insert(Bucket { tokens: burst, at: Duration::ZERO });
        bucket.tokens = (bucket.tokens + now.saturating_sub(bucket.at).as_secs_f64() * per_second).min(burst);
        bucket.at = now;
        let admitted = bucket.tokens >= 1.0;
        if admitted {
            bucket.tokens -= 1.0;
        } else {
            self.refused += 1;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_in_and_then_as_many_as_the_bucket_fills() {
        let mut throttles = Throttles::scaled(1.0);
        let mut admitted = |second: u64, calls: usize| {
            (0..calls).filter(|_| throttles.admits("iam", "GetRole", Duration::from_secs(second))).count()
        };
        assert_eq!([admitted(0, 100), admitted(1, 100), admitted(2, 5), admitted(100, 100)], [20, 10, 5, 20]);
        assert_eq!(throttles.refused, 80 + 90 + 80);
        assert!(throttles.admits("iam", "ListRoles", Duration::from_secs(100)), "another operation, another bucket");
        assert!((0..1000).all(|_| throttles.admits("s3", "PutObject", Duration::ZERO)));
    }
}
