//! The parts of IAM that several resource types need.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::{Role, Tag};

use super::call::Deadline;
use super::call_error::{CallError, ErrorKind};
use super::pages::{marker, pages};
use crate::ownership::Tags;

/// The largest page of `ListRoles`.
const PAGE: i32 = 1000;

/// Converts tags to the types of the SDK.
pub(crate) fn tags(tags: &Tags) -> Vec<Tag> {
    // The builder needs a key and a value only.
    tags.iter().filter_map(|(key, value)| Tag::builder().key(key).value(value).build().ok()).collect()
}

/// Converts tags from the types of the SDK.
pub(crate) fn tags_of(tags: Option<Vec<Tag>>) -> Tags {
    tags.unwrap_or_default().into_iter().map(|Tag { key, value, .. }| (key, value)).collect()
}

/// Returns the role that an answer shows. An answer that is cut short has none, or one whose members are empty.
///
/// # Errors
/// When it is not the role that was asked for.
pub(crate) fn shown(role: Option<Role>, action: &'static str, name: &str) -> Result<Role, CallError> {
    let is_asked_for = |role: &Role| role.role_name.eq_ignore_ascii_case(name) && !role.role_id.is_empty();
    role.filter(is_asked_for).ok_or_else(|| CallError::empty_answer(action, name))
}

/// Reads the roles of the account, without their tags. `select` takes the part of each role that is kept, so that the trust
/// policies of 5,000 roles are never in memory at the same time.
pub(crate) async fn list_roles<T>(
    iam: &Client,
    deadline: &Deadline,
    select: impl Fn(Role) -> Option<T>,
) -> Result<Vec<T>, CallError> {
    pages(async |token| {
        let request = iam.list_roles().max_items(PAGE).set_marker(token);
        let page = deadline.call("iam:ListRoles", "*", || request.clone().send()).await?;
        Ok((page.roles.into_iter().filter_map(&select).collect(), marker(page.is_truncated, page.marker)))
    })
    .await
}

/// The client ids of a provider; none if it is not there.
pub(crate) async fn client_ids(iam: &Client, deadline: &Deadline, arn: &str) -> Result<Option<Vec<String>>, CallError> {
    let request = iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn);
    match deadline.call("iam:GetOpenIDConnectProvider", arn, || request.clone().send()).await {
        Ok(output) => Ok(Some(output.client_id_list.unwrap_or_default())),
        Err(error) if error.kind == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
