//! The decision whether a cluster takes access entries.

use aws_sdk_eks::types::{AuthenticationMode, Cluster, ClusterStatus};

use crate::error::Refusal;

/// The decision about a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClusterReadiness {
    /// The cluster takes access entries.
    Ready,
    /// The cluster may take them soon. The refusal holds if there is no time left to wait.
    Pending(Refusal),
    /// The cluster takes none.
    Unfit(Refusal),
}

/// Returns true if the cluster has no access entries: it is not made yet, or its mode knows none.
pub(super) fn knows_no_entries(cluster: &Cluster) -> bool {
    let mode = cluster.access_config().and_then(|access| access.authentication_mode());
    let is_new = matches!(cluster.status(), Some(ClusterStatus::Creating | ClusterStatus::Pending));
    is_new || mode == Some(&AuthenticationMode::ConfigMap)
}

/// Decides by the description of a cluster; `None` if there is no such cluster.
pub(super) fn readiness(name: &str, cluster: Option<&Cluster>) -> ClusterReadiness {
    let refusal = |what: String, remedy: &str| Refusal::PreconditionFailed { what, remedy: remedy.to_owned() };
    let Some(cluster) = cluster else {
        return ClusterReadiness::Unfit(refusal(
            format!("`ClusterName`: there is no EKS cluster {name:?} in this account and region"),
            "Check the name and the region of the stack",
        ));
    };
    let mode = cluster.access_config().and_then(|access| access.authentication_mode());
    let is_config_map = mode == Some(&AuthenticationMode::ConfigMap);
    match cluster.status() {
        Some(ClusterStatus::Creating | ClusterStatus::Pending) => ClusterReadiness::Pending(refusal(
            format!("the EKS cluster {name:?} was still being created when the time was up"),
            "Let this resource depend on the cluster, or raise `ServiceTimeout`",
        )),
        // The update may be that of the mode: until it is done, a cluster shows its old mode.
        Some(ClusterStatus::Updating) if is_config_map => ClusterReadiness::Pending(refusal(
            format!(
                "the EKS cluster {name:?} was still being updated when the time was up, and had authentication mode \
                 CONFIG_MAP, which knows no access entries"
            ),
            "Wait for its update, and see that its mode becomes API_AND_CONFIG_MAP or API",
        )),
        Some(status @ (ClusterStatus::Deleting | ClusterStatus::Failed)) => ClusterReadiness::Unfit(refusal(
            format!("the EKS cluster {name:?} is {}", status.as_str()),
            "It takes no access entries any more",
        )),
        _ if is_config_map => ClusterReadiness::Unfit(refusal(
            format!("the EKS cluster {name:?} has authentication mode CONFIG_MAP, which knows no access entries"),
            &format!(
                "Change it: aws eks update-cluster-config --name {name} --access-config authenticationMode=API_AND_CONFIG_MAP"
            ),
        )),
        _ => ClusterReadiness::Ready,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::AccessConfigResponse;

    use super::*;

    fn cluster(status: ClusterStatus, mode: Option<AuthenticationMode>) -> Cluster {
        let access = AccessConfigResponse::builder().set_authentication_mode(mode).build();
        Cluster::builder().status(status).access_config(access).build()
    }

    #[test]
    fn each_status_and_mode_of_a_cluster_has_its_decision() {
        use AuthenticationMode::{Api, ApiAndConfigMap, ConfigMap};
        use ClusterStatus::{Active, Creating, Deleting, Failed, Pending, Updating};
        let decide = |status: &ClusterStatus, mode| match readiness("prod", Some(&cluster(status.clone(), mode))) {
            ClusterReadiness::Ready => "ready",
            ClusterReadiness::Pending(_) => "pending",
            ClusterReadiness::Unfit(_) => "unfit",
        };
        for (status, expected, in_config_map) in [
            (Creating, "pending", "pending"),
            (Pending, "pending", "pending"),
            (Active, "ready", "unfit"),
            (Updating, "ready", "pending"),
            (Deleting, "unfit", "unfit"),
            (Failed, "unfit", "unfit"),
            ("NEW".into(), "ready", "unfit"),
        ] {
            for mode in [None, Some(Api), Some(ApiAndConfigMap)] {
                assert_eq!(decide(&status, mode.clone()), expected, "{status} {mode:?}");
            }
            assert_eq!(decide(&status, Some(ConfigMap)), in_config_map, "{status}");
        }
        assert!(matches!(readiness("prod", None), ClusterReadiness::Unfit(_)));
    }
}
