// Sends requests that are refused before their bodies are read; prints how many saw the answer.
// Arguments: the gateway's URL, how many, bytes in each body, milliseconds between head and body,
// and whether through `http` or `fetch`.
import http from "node:http";

const [url, count, bytes, pause, via] = process.argv.slice(2);
const body = Buffer.alloc(Number(bytes), "x");
const headers = { authorization: "Bearer sk-wrong", "content-type": "application/json" };
const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });

function post() {
  return new Promise((resolve) => {
    const options = { method: "POST", agent, headers: { ...headers, "content-length": body.length } };
    const request = http.request(url + "/v1/chat/completions", options, (answer) => {
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

const seen = {};
for (let done = 0; done < Number(count); done += 4) {
  const four = Array.from({ length: 4 }, via === "fetch" ? fetched : post);
  for (const outcome of await Promise.all(four)) seen[outcome] = (seen[outcome] ?? 0) + 1;
}
console.log(JSON.stringify(seen));
agent.destroy();
