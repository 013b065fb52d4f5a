// Reads one simulation of @cloud-copilot/iam-simulate a line, and writes its result, or its errors, a line.
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const { runSimulation } = await import(pathToFileURL(process.argv[2]));

for await (const line of createInterface({ input: process.stdin })) {
  const found = await runSimulation(JSON.parse(line), { simulationMode: "Strict" });
  console.log(JSON.stringify(found.resultType === "error" ? { errors: found.errors } : { result: found.overallResult }));
}
