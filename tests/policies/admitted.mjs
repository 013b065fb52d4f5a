// Reads a trust policy with the condition keys of tokens a line, and writes which of these tokens it lets in.
import { createInterface } from "node:readline";
import { evaluator } from "./trust_evaluator.mjs";

for await (const line of createInterface({ input: process.stdin })) {
  const { policy, provider, tokens } = JSON.parse(line);
  console.log(JSON.stringify(tokens.map(evaluator(policy, provider))));
}
