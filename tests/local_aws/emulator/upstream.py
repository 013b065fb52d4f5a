"""Which ministack this overlay is written for, and every private name of it that the overlay touches."""

from __future__ import annotations

import importlib
import importlib.metadata

MINISTACK = "1.5.33"

# A test compares this with the attributes that the overlay's sources really use.
NAMES: dict[str, tuple[str, ...]] = {
    "ministack.app": ("_dispatch_service_request", "_routing_params", "main"),
    "ministack.core.iam_actions": (
        "_query_param",
        "access_denied_response",
        "extract_iam_action",
        "extract_resource_arn",
        "identity_denial_message",
        "request_tag_context",
    ),
    "ministack.core.iam_evaluator": (
        "_CONDITION_OPS",
        "_fnmatch_compile",
        "enforce",
        "fnmatch_iam_cs",
        "resolve_caller_identity",
    ),
    "ministack.core.responses": ("get_account_id", "get_region"),
    "ministack.core.router": ("detect_service", "extract_access_key_id"),
    "ministack.services.cloudtrail": ("_get_event_queue",),
    "ministack.services.cloudformation": ("_change_sets", "_stacks"),
    "ministack.services.cloudformation.changesets": ("_IMPORT_LOOKUPS", "_evaluate_conditions", "_resolve_refs"),
    "ministack.services.cloudformation.custom_resource": (
        "_gateway_url",
        "_normalise_resource_properties",
        "invoke_custom_resource",
    ),
    "ministack.services.cloudformation.engine": ("_validate_template_statics",),
    "ministack.services.cloudformation.handlers": (
        "_ACTION_HANDLERS",
        "_describe_stack_events",
        "_describe_stack_resource",
        "_error",
        "_evaluate_conditions",
        "_p",
        "_resolve_stack",
        "_xml",
    ),
    "ministack.services.cloudformation.provisioners": ("_RESOURCE_HANDLERS",),
    "ministack.services.cloudformation.stacks": (
        "_evaluate_conditions",
        "_provision_keeping_seed",
        "_roll_back_operation",
        "_runs_on_worker_thread",
        "_update_keeping_seed",
    ),
    "ministack.services.eks": (
        "_access_entries",
        "_access_entry_arn",
        "_ae_key",
        "_associate_access_policy",
        "_clusters",
        "_create_access_entry",
        "_create_cluster",
        "_delete_access_entry",
        "_describe_access_entry",
        "_disassociate_access_policy",
        "_error",
        "_handle_request_sync",
        "_invalid_tag_resource_arn",
        "_json_resp",
        "_list_access_entries",
        "_list_associated_access_policies",
        "_resolve_tag_resource_arn",
        "_tag_resource_not_found",
        "_tags",
        "_update_access_entry",
        "_VALID_ACCESS_ENTRY_TYPES",
    ),
    "ministack.services.iam": (
        "_IAM_HANDLERS",
        "_aws_managed_policies",
        "_error",
        "_instance_profiles",
        "_lookup_policy",
        "_make_aws_managed_record",
        "_oidc_providers",
        "_role_xml",
        "_roles",
        "_users",
        "_xml",
        "parse_qs",
    ),
    "ministack.services.lambda_svc": (
        "_effective_func_record_for_qualifier",
        "_execute_function_with_config_scope",
        "_execution_record_for_config",
        "_functions",
        "_get_func_record_for_ref",
    ),
    "ministack.services.s3": ("_get_object_data",),
    "ministack.services.sts": (
        "_error",
        "_p",
        "_web_identity_principal",
        "_web_identity_trust_denied",
        "register_session",
    ),
    "ministack.services.tagging": ("_RESOURCE_TAG_COLLECTORS",),
}


def check() -> None:
    """Ends the process with a message when this is another ministack, or one without a name that is needed."""
    found = importlib.metadata.version("ministack")
    problems = [] if found == MINISTACK else [f"ministack {found} is installed"]
    for module, names in NAMES.items():
        try:
            loaded = importlib.import_module(module)
        except ImportError as error:
            problems.append(f"{module} cannot be imported: {error}")
            continue
        problems += [f"{module} has no {name}" for name in names if not hasattr(loaded, name)]
    if problems:
        raise SystemExit(
            f"tests/local_aws/emulator is written for ministack=={MINISTACK} (requirements/emulator.txt), but "
            + "; ".join(problems)
        )
