// Sends requests that are refused before their bodies are read; prints how many saw the answer.
// Arguments: the gateway's URL, how many, bytes in each body, milliseconds between head and body,
// and the client: `http` (and https), `fetch` or `http2`. NODE_EXTRA_CA_CERTS is respected.
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";

const [url, count, bytes, pause, via] = process.argv.slice(2);
const body = Buffer.alloc(Number(bytes), "x");
const headers = { authorization: "Bearer sk-wrong", "content-type": "application/json" };
const { Agent, request: begin } = url.startsWith("https:") ? https : http;
const agent = new Agent({ keepAlive: true, maxSockets: 4 });
// Four bodies at once are more than the client's own limit of 10 MB for a session, and they
// may still be on their way when their answers have come.
const session = via === "http2" ? http2.connect(url, { maxSessionMemory: 1000 }) : undefined;

function post() {
  return new Promise((resolve) => {
    const options = { method: "POST", agent, headers: { ...headers, "content-length": body.length } };
    const request = begin(url + "/v1/chat/completions", options, (answer) => {
      answer.resume();
      answer.on("end", () => resolve(answer.statusCode));
    });
    request.on("error", (error) => resolve(error.code));
    request.flushHeaders();
    setTimeout(() => request.end(body), Number(pause));
  });
}

async function fetched() {
  try {
    const answer = await fetch(url + "/v1/chat/completions", { method: "POST", headers, body });
    await answer.text();
    return answer.status;
  } catch (error) {
    return error.cause?.code ?? String(error);
  }
}

function streamed() {
  return new Promise((resolve) => {
    let status;
    const stream = session.request({ ":method": "POST", ":path": "/v1/chat/completions", ...headers });
    stream.on("response", (answer) => (status = answer[":status"]));
    stream.on("error", (error) => resolve(error.code));
    stream.on("end", () => resolve(status));
    stream.resume();
    setTimeout(() => stream.end(body), Number(pause));
  });
}

const client = { http: post, fetch: fetched, http2: streamed }[via];
const seen = {};
for (let done = 0; done < Number(count); done += 4) {
  for (const outcome of await Promise.all(Array.from({ length: 4 }, client))) {
    seen[outcome] = (seen[outcome] ?? 0) + 1;
  }
}
console.log(JSON.stringify(seen));
agent.destroy();
session?.close();
