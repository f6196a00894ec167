// The TypeScript client of @modelcontextprotocol/sdk against one server: a test that takes longer than the client
// waits, then three red tests and what comes after them. Called with the target as JSON, {url, token} or
// {command, args, env}; prints everything it was told, as JSON, and judges nothing. Run in the folder of node_modules.

import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.cwd(), "package.json"));
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StdioClientTransport } = require("@modelcontextprotocol/sdk/client/stdio.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");

const target = JSON.parse(process.argv[2]);
const client = new Client({ name: "older-client", version: "1.0.0" });

function transport() {
  if (!target.url) return new StdioClientTransport({ ...target, stderr: "inherit" });
  const headers = { Authorization: `Bearer ${target.token}` };
  return new StreamableHTTPClientTransport(new URL(target.url), { requestInit: { headers } });
}

async function call(name, args) {
  const progress = [];
  try {
    // the default time limit of a request stays in force: 60 s, whatever progress arrives
    const answer = await client.callTool({ name, arguments: args }, undefined, {
      onprogress: (told) => progress.push(told.message ?? ""),
    });
    return { answer, progress };
  } catch (error) {
    return { error: String(error), progress };
  }
}

await client.connect(transport());
const { tools } = await client.listTools(); // from here on the client validates what the tools answer
const told = {
  validated: tools.filter((tool) => tool.outputSchema).map((tool) => tool.name),
  completion: await client.complete({
    ref: { type: "ref/prompt", name: "debug-failure" },
    argument: { name: "test", value: "red" },
  }),
  plan: await call("plan_run", {}),
  usage: await call("run_test", { tset: "red-1" }),
  first: await call("run_test", { test: "slow", checkpoint: true }),
  second: await call("run_test", { test: "slow", checkpoint: true }),
  reds: [],
};
for (const test of ["red-1", "red-2", "red-3"]) {
  told.reds.push(await call("run_test", { test, checkpoint: true }));
}
told.refused = await call("run_test", { test: "red-1" });
told.report = await call("report", {});
await client.close();
console.log(JSON.stringify(told));
