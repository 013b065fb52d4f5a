// Evaluates trust policies with @cloud-copilot/iam-simulate: one declaration a line, with its policy and the tokens that were
// tried (`declarations_and_tokens_for_another_evaluator` of src/resources/github_role/tests/trust_proptest/mod.rs).
//
// The library does not read `${$}` under StringEquals, where IAM does
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html): tokens that it refuses because of that
// are counted apart.
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { evaluator } from "./trust_evaluator.mjs";

const file = process.argv[3];
const escapes = (condition) => JSON.stringify(condition?.StringEquals ?? {}).includes("${$}");

let [declarations, tokens, admitted, escaped] = [0, 0, 0, 0];
const wrong = [];
for await (const line of createInterface({ input: createReadStream(file) })) {
  const { policy, provider, tries } = JSON.parse(line);
  const admits = evaluator(policy, provider);
  const hasEscapes = policy.Statement.some((statement) => escapes(statement.Condition));
  declarations += 1;
  for (const { keys, expected } of tries) {
    const found = admits(keys);
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
