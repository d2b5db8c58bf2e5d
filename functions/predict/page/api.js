// The API.
class Problem extends Error {
  constructor(status, code, message, seconds) {
    super(message);
    Object.assign(this, { status, code, seconds });
  }
}

const pause = (seconds, signal) => new Promise((resolve, reject) => {
  const timer = setTimeout(resolve, seconds * 1000);
  signal?.addEventListener("abort", () => {
    clearTimeout(timer);
    reject(new DOMException("left", "AbortError"));
  });
});

async function request(address, { signal = view.signal, body, key = storedKey } = {}) {
  const headers = { "x-api-key": key || "" };
  if (body) headers["content-type"] = "application/json";
  let answer;
  try {
    answer = await fetch(address, { method: body ? "POST" : "GET", headers, body, signal, cache: "no-store" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, "NoAnswer", "The API does not answer.");
  }
  if (answer.ok) return answer;
  const error = (await answer.json().catch(() => ({}))).error || {};
  const after = Number(answer.headers.get("retry-after"));
  throw new Problem(answer.status, error.code || "", error.message || `Status ${answer.status}.`, after);
}
const ask = async (path, options) => (await request(root + path, options)).json();

// What an older API doesn't have, or this dataset doesn't, is left out.
async function askIfThere(path, options) {
  try {
    return await ask(path, options);
  } catch (problem) {
    if (problem.name === "AbortError" || isAboutKey(problem)) throw problem;
    return null;
  }
}
const isAboutKey = ({ status, code }) =>
  status === 401 || (status === 403 && !/MISSING_AUTHENTICATION_TOKEN/.test(code));

function advice(problem) {
  const { status, code, message, seconds } = problem;
  if (status === 0) return ["The API does not answer.", "Check your connection. If the API runs on your laptop, start it again: make run"];
  if (status === 429) return ["Too many requests at once.", "Wait a moment, then try again."];
  if (code === "EndpointStarting") return ["The model is starting.", "It was idle, and needs some seconds to wake up."];
  if (code === "EndpointMissing") return ["The model is being deployed again.", "This takes some minutes. Nothing is left for you to do."];
  if (code === "NotLiveYet") return ["The first model is being made.", "It can be tried here as soon as it is live."];
  if (code === "NeverLive") return ["No model of this dataset is live.", message];
  if (status === 404) return ["There is nothing here.", message];
  if (status >= 500 && !seconds) return ["The API could not answer.", `${message} Try again in a minute. If it stays, ask who runs this API to look at its logs.`];
  return [message, null];
}

function notice(problem, again) {
  const [what, next] = advice(problem);
  const isWait = problem.seconds > 0;
  const countdown = h("p", { class: "dim" });
  const box = h("div", { class: isWait ? "notice" : "notice wrong", role: "alert" },
    h("strong", {}, what), next && next !== what && h("p", {}, next),
    again && isWait && countdown,
    again && h("button", { type: "button", class: "quiet small", onclick: again }, "Try again"));
  if (again && isWait) {
    (async () => {
      for (let left = Math.ceil(problem.seconds); left > 0; left -= 1) {
        countdown.textContent = `Trying again in ${left}${NARROW}s.`;
        await pause(1, view.signal);
        if (!box.isConnected) return;
      }
      again();
    })().catch(() => {});
  }
  return box;
}
