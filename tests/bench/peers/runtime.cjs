// As little as a Node runtime of Lambda has to do: poll, call the handler, say that it is done.
"use strict";

const http = require("http");

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

function send(method, path, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, method, path: `/2018-06-01/runtime/${path}`, agent }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(parts).toString() }));
    });
    request.on("error", reject);
    request.end(body);
  });
}

async function main() {
  // Loaded before the first poll, as Lambda does it.
  const { handler } = require(process.argv[2]);
  for (;;) {
    const { headers, body } = await send("GET", "invocation/next");
    const id = headers["lambda-runtime-aws-request-id"];
    const end = Number(headers["lambda-runtime-deadline-ms"]);
    const context = { awsRequestId: id, getRemainingTimeInMillis: () => end - Date.now() };
    try {
      const result = await handler(JSON.parse(body), context);
      await send("POST", `invocation/${id}/response`, JSON.stringify(result ?? null));
    } catch (error) {
      await send("POST", `invocation/${id}/error`, JSON.stringify({ errorMessage: String(error) }));
    }
  }
}

main();
