//! Metrics are lines of the log in CloudWatch's embedded metric format, so that a function without more permissions than
//! its log has them.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

/// The target of the events whose field `emf` is such a line; the subscriber writes it as it is.
pub const TARGET: &str = "github_trust::metrics";
const NAMESPACE: &str = "github-trust";

/// Counts something about an issuer; nothing is written for none.
pub fn count(metric: &'static str, value: usize, issuer: &str, now: SystemTime) {
    count_with(metric, value, issuer, now, Map::new());
}

/// The same, with details that CloudWatch Logs can be searched for.
pub fn count_with(metric: &'static str, value: usize, issuer: &str, now: SystemTime, details: Map<String, Value>) {
    write(metric, value, ("Issuer", issuer), now, details);
}

/// Counts something about something else: the name of its dimension and its own.
pub fn count_of(metric: &'static str, value: usize, about: (&'static str, &str), now: SystemTime) {
    write(metric, value, about, now, Map::new());
}

fn write(metric: &str, value: usize, about: (&'static str, &str), now: SystemTime, details: Map<String, Value>) {
    if value > 0 {
        let emf = line(metric, value, about, now, details);
        tracing::info!(target: TARGET, emf);
    }
}

/// A line with a dimension for readers, and one without for an alarm on all of them.
fn line(
    metric: &str,
    value: usize,
    (dimension, about): (&str, &str),
    now: SystemTime,
    details: Map<String, Value>,
) -> String {
    let millis = u64::try_from(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or_default();
    let mut line = json!({
        "_aws": {
            "Timestamp": millis,
            "CloudWatchMetrics": [{
                "Namespace": NAMESPACE,
                "Dimensions": [[], [dimension]],
                "Metrics": [{ "Name": metric, "Unit": "Count" }],
            }],
        },
        dimension: about,
        metric: value,
    });
    if let Value::Object(members) = &mut line {
        members.extend(details);
    }
    line.to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_line_is_what_the_specification_asks_for() {
        let details: Map<String, Value> = [("Provider".to_owned(), json!("arn"))].into_iter().collect();
        let now = UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
        let line: Value =
            serde_json::from_str(&line("RotatedThumbprints", 2, ("Issuer", "issuer.test"), now, details)).unwrap();
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(line["_aws"]["Timestamp"], 1_800_000_000_123_u64);
        assert_eq!(directive["Namespace"], NAMESPACE);
        // Each dimension and each metric that the directive names is a member at the top.
        for name in ["Issuer", directive["Metrics"][0]["Name"].as_str().unwrap()] {
            assert!(line.get(name).is_some(), "{name}");
        }
        assert_eq!((&line["RotatedThumbprints"], &line["Provider"]), (&json!(2), &json!("arn")));
    }
}
