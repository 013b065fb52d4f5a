//! The `AWS::IAM::OIDCProvider` that is equivalent to a declaration.

use serde_json::json;

use super::{Declared, Desired, Thumbprints};
use crate::ownership::native_tags;
use crate::reconcile::NativeResource;

pub(super) fn of(desired: &Desired) -> Option<NativeResource> {
    let Desired::Declared(declared) = desired else { return None };
    let Declared { arn: _, url, client_ids, thumbprints, use_of_thumbprints: _, ca: _, tags, share: _, .. } =
        declared.as_ref();
    let thumbprints: Option<Vec<&String>> = match thumbprints {
        Thumbprints::Pinned(pins) => Some(pins.iter().collect()),
        Thumbprints::Observed(latest) => Some(latest.values.keys().collect()),
        Thumbprints::Unknown(_) => None,
    };
    let properties = json!({
        "Url": url,
        "ClientIdList": client_ids,
        "ThumbprintList": thumbprints,
        "Tags": native_tags(tags),
    });
    Some(NativeResource { resource_type: "AWS::IAM::OIDCProvider", properties })
}
