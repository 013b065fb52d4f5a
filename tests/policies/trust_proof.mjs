// Evaluates trust policies with @cloud-copilot/iam-simulate: one declaration a line, with its policy and the tokens that were
// tried (`declarations_and_tokens_for_another_evaluator` of src/resources/github_role/tests/trust_proptest.rs).
//
// The library does not read `${$}` under StringEquals, where IAM does
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html): tokens that it refuses because of that
// are counted apart.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, file] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(`${folder}/${path}`));
const { analyzeResourcePolicy } = await load("iam-simulate/dist/esm/core_engine/CoreSimulatorEngine.js");
const { AwsRequestImpl } = await load("iam-simulate/dist/esm/request/request.js");
const { RequestContextImpl } = await load("iam-simulate/dist/esm/requestContext.js");
const { loadPolicy } = await load("iam-policy/dist/esm/index.js");

const ACTION = "sts:AssumeRoleWithWebIdentity";
const ROLE = { resource: "arn:aws:iam::123456789012:role/deploy", accountId: "123456789012" };
const STRICT = { simulationMode: "Strict", strictConditionKeys: new Set() };
const escapes = (condition) => JSON.stringify(condition?.StringEquals ?? {}).includes("${$}");

let [declarations, tokens, admitted, escaped] = [0, 0, 0, 0];
const wrong = [];
for await (const line of createInterface({ input: createReadStream(file) })) {
  const { policy, provider, tries } = JSON.parse(line);
  const loaded = loadPolicy(policy, { name: "trust" });
  const hasEscapes = policy.Statement.some((statement) => escapes(statement.Condition));
  declarations += 1;
  for (const { keys, expected } of tries) {
    const request = new AwsRequestImpl(provider, ROLE, ACTION, new RequestContextImpl(keys), false);
    const found = analyzeResourcePolicy(loaded, request, false, STRICT).result === "Allowed";
    tokens += 1;
    admitted += expected ? 1 : 0;
    if (found === expected) continue;
    if (expected && hasEscapes) escaped += 1;
    else wrong.push({ policy, keys, expected, found });
  }
}
console.log(
  `${declarations} declarations, ${tokens} tokens, ${admitted} let in; evaluated otherwise: ${wrong.length}, ` +
    `and ${escaped} because of \${$} under StringEquals`,
);
for (const one of wrong.slice(0, 3)) console.log(JSON.stringify(one, null, 1));
process.exitCode = wrong.length > 0 || admitted === 0 || admitted === tokens ? 1 : 0;
