// IAM's evaluation of trust policies by @cloud-copilot/iam-simulate, for tokens of jobs.
import { pathToFileURL } from "node:url";

// The library makes a collator for each comparison, which takes three quarters of the time.
const collators = new WeakMap();
const compare = String.prototype.localeCompare;
String.prototype.localeCompare = function (other, locales, options) {
  if (locales !== undefined || options === undefined) return compare.call(this, other, locales, options);
  if (!collators.has(options)) collators.set(options, new Intl.Collator(locales, options));
  return collators.get(options).compare(this, other);
};

const folder = process.argv[2];
const load = (path) => import(pathToFileURL(`${folder}/${path}`));
const { analyzeResourcePolicy } = await load("iam-simulate/dist/esm/core_engine/CoreSimulatorEngine.js");
const { AwsRequestImpl } = await load("iam-simulate/dist/esm/request/request.js");
const { RequestContextImpl } = await load("iam-simulate/dist/esm/requestContext.js");
const { DiscoveryContextKeyConstraints } = await load("iam-simulate/dist/esm/context_keys/discoveryContextKeyConstraints.js");
const { loadPolicy } = await load("iam-policy/dist/esm/index.js");

const ACTION = "sts:AssumeRoleWithWebIdentity";
const ROLE = { resource: "arn:aws:iam::123456789012:role/deploy", accountId: "123456789012" };
const STRICT = {
  simulationMode: "Strict",
  strictConditionKeys: new Set(),
  // Policy variables are looked up there.
  discoveryContextKeyConstraints: new DiscoveryContextKeyConstraints([]),
};

// Returns a function that tells whether a job whose token has these condition keys may assume the role.
export function evaluator(policy, provider) {
  const loaded = loadPolicy(policy, { name: "trust" });
  return (keys) => {
    const request = new AwsRequestImpl(provider, ROLE, ACTION, new RequestContextImpl(keys), false);
    return analyzeResourcePolicy(loaded, request, false, STRICT).result === "Allowed";
  };
}
