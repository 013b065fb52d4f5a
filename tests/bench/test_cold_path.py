"""How the profile is read."""

from __future__ import annotations

import cold_path

LISTING = """
Ir                   file:function
--------------------------------------------------------------------------------
1,000 (100.0%)  PROGRAM TOTALS
  900 (90.00%)  /cargo/registry/src/tokio-1.0.0/src/lib.rs:main [/tmp/bootstrap]
  300 (30.00%)  /cargo/src/rustls-webpki-0.103.16/src/signed_data.rs:webpki::signed_data::verify_signature [/tmp/b]
  100 (10.00%)  /rustc/123/library/core/src/result.rs:webpki::signed_data::verify_signature
   90 ( 9.00%)  aws-sdk-iam-1.0.0/src/client.rs:aws_sdk_iam::client::Client::new [/tmp/bootstrap]
   80 ( 8.00%)  aws-sdk-eks-1.0.0/src/client.rs:aws_sdk_eks::client::Client::new [/tmp/bootstrap]
   70 ( 7.00%)  o.rs:aws_smithy_runtime::client::orchestrator::invoke_with_stop_point::{{closure}}::{{closure}} [/tmp/b]
   60 ( 6.00%)  o.rs:aws_smithy_runtime::client::orchestrator::invoke::{{closure}} [/tmp/b]
"""


def test_a_function_that_was_inlined_counts_once_with_all_that_it_took() -> None:
    costs = cold_path.inclusive(LISTING)
    assert costs["webpki::signed_data::verify_signature"] == 300
    assert costs["main"] == 900
    assert "PROGRAM TOTALS" not in costs


def test_parts_add_up_what_stands_beside_and_not_what_is_nested() -> None:
    found = cold_path.parts(cold_path.inclusive(LISTING))
    assert found["the SDK makes its clients"] == 170
    assert found["the SDK serialises, signs, sends and reads calls"] == 70
    assert found["lines are logged"] == 0
