//! The parts of IAM that several resource types need.

use std::cell::Cell;

use aws_sdk_iam::Client;
use aws_sdk_iam::operation::list_roles::builders::ListRolesFluentBuilder;
use aws_sdk_iam::types::{Role, Tag};

use super::call_error::{CallError, ErrorKind};
use super::deadline::Deadline;
use super::pages::{marker, pages};
use crate::net::http_client::is_too_large;
use crate::ownership::Tags;

/// The page of `ListRoles` that is asked for first: with the usual trust policies half a megabyte.
const PAGE: i32 = 400;

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
/// policies of 5,000 roles are never in memory at the same time. Where a page is larger than any answer that is read, it is asked
/// for in smaller ones.
pub(crate) async fn list_roles<T>(
    iam: &Client,
    deadline: &Deadline,
    select: impl Fn(Role) -> Option<T>,
) -> Result<Vec<T>, CallError> {
    let size = Cell::new(PAGE);
    pages(async |token| {
        let request = iam.list_roles().set_marker(token);
        let ask = async |request: ListRolesFluentBuilder| {
            let answer = request.max_items(size.get()).send().await;
            // Anybody who makes roles can make their trust policies as long as IAM takes them.
            if answer.as_ref().is_err_and(|error| is_too_large(error)) {
                size.set((size.get() / 4).max(1));
            }
            answer
        };
        let page = deadline.call("iam:ListRoles", "*", || ask(request.clone())).await?;
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use aws_sdk_iam::config::{BehaviorVersion, Credentials, Region};
    use aws_smithy_runtime_api::client::http::{
        HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
    };
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_types::body::SdkBody;
    use http_body_util::{Full, Limited};
    use hyper::body::Bytes;
    use tokio::time::Instant;

    use super::*;

    const ROLES: usize = 40;
    /// Each role is as long as an answer may be for 20.
    const FITTING: usize = 20;

    /// IAM with roles whose trust policies are long. Notes the sizes of the pages that it is asked for.
    #[derive(Clone, Debug, Default)]
    struct Iam(Arc<Mutex<Vec<usize>>>);

    impl HttpConnector for Iam {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let form = String::from_utf8_lossy(request.body().bytes().unwrap_or_default()).into_owned();
            let number = |name: &str| {
                form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse::<usize>().ok())
            };
            let (from, size) = (number("Marker").unwrap_or_default(), number("MaxItems").unwrap());
            self.0.lock().unwrap().push(size);
            let to = ROLES.min(from + size);
            let role = |at: usize| format!("<member><RoleName>r{at}</RoleName><RoleId>A{at}</RoleId></member>");
            let roles: String = (from..to).map(role).collect();
            let text = format!(
                "<ListRolesResponse><ListRolesResult><Roles>{roles}</Roles><IsTruncated>{}</IsTruncated><Marker>{to}</Marker>\
                 </ListRolesResult></ListRolesResponse>",
                to < ROLES
            );
            let limit = if to - from > FITTING { text.len() / 2 } else { text.len() };
            let body = SdkBody::from_body_1_x(Limited::new(Full::new(Bytes::from(text)), limit));
            HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
        }
    }

    #[test]
    fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
        let service = Iam::default();
        let http = SharedHttpConnector::new(service.clone());
        let config = aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::for_tests())
            .retry_config(aws_sdk_iam::config::retry::RetryConfig::disabled())
            .http_client(http_client_fn(move |_, _| http.clone()));
        let iam = Client::from_conf(config.build());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let names = runtime.block_on(async {
            let deadline = Deadline::until(Instant::now() + Duration::from_mins(1));
            list_roles(&iam, &deadline, |role| Some(role.role_name)).await.unwrap()
        });
        let expected: Vec<String> = (0..ROLES).map(|at| format!("r{at}")).collect();
        assert_eq!(names, expected);
        assert_eq!(*service.0.lock().unwrap(), [400, 100, 25, 6, 6, 6, 6, 6, 6, 6]);
    }
}
