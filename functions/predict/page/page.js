// The page of the API. All that it shows comes from the API, with the key that its user gave, and is
// written as text, never as markup. Addresses are those of this page, whatever domain, stage and
// slash at the end it was opened with.
const root = location.pathname.replace(/\/?$/, "/");
const KEY = "knn-api-key";
const ENDED = new Set(["Live", "Superseded", "Held", "Refused", "Failed", "Retired"]);
const main = document.getElementById("main");
let storedKey = read();
let view = new AbortController();
let lastAddress = null;

function read() {
  try { return sessionStorage.getItem(KEY); } catch { return null; }
}

function remember(key) {
  storedKey = key;
  // Without storage, as in some private windows, the key lasts as long as the page.
  try {
    if (key) sessionStorage.setItem(KEY, key);
    else sessionStorage.removeItem(KEY);
  } catch { /* nothing to do */ }
  document.getElementById("forget").hidden = !key;
}

// ------------------------------------------------------------------------------- elements
function build(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}
const h = (tag, attributes, ...children) => build(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  build(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);

function show(title, ...content) {
  document.title = title === "Live models" ? title : `${title} · Live models`;
  main.replaceChildren(...content.flat(3).filter(Boolean));
}

let announcement;
function announce(text) {
  // While somebody drags a slider there is an answer every moment: only the last is worth hearing.
  clearTimeout(announcement);
  announcement = setTimeout(() => { document.getElementById("said").textContent = text; }, 700);
}

// ------------------------------------------------------------------------------- words
const NARROW = "\u202f";
const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

function percent(share) {
  if (!isNumber(share)) return "–";
  const value = share * 100;
  const digits = value >= 99.95 || value === 0 ? 0 : value < 1 ? 2 : 1;
  return `${value.toFixed(digits)}${NARROW}%`;
}
const whole = (share) => Math.round(share * 100);
const range = (interval) =>
  Array.isArray(interval) ? `${whole(interval[0])}–${whole(interval[1])}${NARROW}%` : null;

function figure(value) {
  if (!isNumber(value)) return "–";
  return String(Number(value.toPrecision(4)));
}

// A bound of the training range, as it is: what is rounded could be outside of it.
const exact = (value) => String(Number(value.toPrecision(12)));

function moment(text) {
  const when = new Date(text || NaN);
  if (Number.isNaN(when.valueOf())) return null;
  const shown = when.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
  return h("time", { datetime: when.toISOString() }, shown);
}

function droppedAt(run) {
  const found = /-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-/.exec(run.run || "");
  return run.dropped || (found && `${found[1]}-${found[2]}-${found[3]}T${found[4]}:${found[5]}:${found[6]}Z`);
}
const words = (code) => String(code || "").replace(/(?<=[a-z0-9])(?=[A-Z])/g, " ").toLowerCase();

// ------------------------------------------------------------------------------- the API
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

// ------------------------------------------------------------------------------- the key
function showKeyForm(why) {
  remember(null);
  const input = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false",
    required: true, "aria-describedby": "key-help" });
  const said = h("div", { role: "alert" }, why && h("p", { class: "notice wrong" }, why));
  const submit = async (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (!key) return;
    // A header holds nothing else, and no key has it.
    if (/[^\x21-\x7e]/.test(key)) {
      said.replaceChildren(h("p", { class: "notice wrong" }, "A key has only letters, digits and signs, no spaces. Copy it again."));
      return;
    }
    try {
      await ask("datasets", { key });
      remember(key);
      route();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      said.replaceChildren(isAboutKey(problem)
        ? h("p", { class: "notice wrong" }, "This key is not accepted. Check that you copied all of it.")
        : notice(problem));
      input.select();
    }
  };
  show("API key", h("section", { class: "card narrow stack" },
    h("h1", {}, "Your API key"),
    h("p", { class: "dim" }, "This page shows the live models and lets you try them. It asks the API for everything, so it needs a key. The key stays in this tab and is forgotten when you close it."),
    said,
    h("form", { class: "stack", onsubmit: submit },
      h("div", {}, h("label", { for: "key" }, h("strong", {}, "API key")), input),
      h("button", {}, "Continue")),
    h("details", { id: "key-help" }, h("summary", {}, "Where do I get one?"),
      h("div", { class: "stack small" },
        h("p", {}, "On your laptop:"), h("pre", {}, ".venv/bin/python -m cli key"),
        h("p", {}, "On AWS, with ID being the stack's output ", h("code", {}, "ApiKeyId"), ":"),
        h("pre", {}, "aws apigateway get-api-key --api-key ID --include-value --query value --output text"),
        h("p", { class: "dim" }, "Or ask whoever deployed the stack.")))));
  input.focus({ preventScroll: true });
}

// ------------------------------------------------------------------------------- pictures
function meter(metrics) {
  const interval = metrics.intervals?.accuracy;
  const guess = metrics.baseline?.accuracy;
  const x = (share) => `${Math.min(1, Math.max(0, share)) * 100}%`;
  const told = [`Accuracy ${percent(metrics.accuracy)}`, interval && `95 % interval ${range(interval)}`,
    isNumber(guess) && `always the most frequent class: ${percent(guess)}`].filter(Boolean).join(", ");
  return svg("svg", { class: "meter", role: "img", "aria-label": told },
    svg("rect", { class: "track", x: 0, y: 4, width: "100%", height: 6, rx: 3 }),
    interval && svg("rect", { class: "interval", x: x(interval[0]), y: 2, width: `${(interval[1] - interval[0]) * 100}%`, height: 10, rx: 5 }),
    isNumber(guess) ? svg("rect", { class: "guess", x: x(guess), y: 0, width: 2, height: 14 }) : null,
    svg("rect", { class: "point", x: x(metrics.accuracy - 0.01), y: 0, width: 5, height: 14, rx: 2.5 }));
}

function meterLegend({ intervals, baseline }) {
  const parts = ["From 0 to 100\u202f%: the bar is the accuracy", intervals?.accuracy && "the band its 95\u202f% interval",
    baseline && `the thin line always “${baseline.class}”`];
  return `${parts.filter(Boolean).join(", ")}.`;
}

function sparkline(values) {
  const [width, height] = [96, 30];
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const span = Math.max(high - low, 0.02);
  const points = values.map((value, place) => [
    4 + (place / Math.max(1, values.length - 1)) * (width - 8),
    height - 5 - ((value - low + (span - (high - low)) / 2) / span) * (height - 10),
  ]);
  const [x, y] = points.at(-1);
  return svg("svg", { class: "spark", width, height, role: "img",
    "aria-label": `Accuracy of the last ${values.length} models: ${values.map(percent).join(", ")}` },
    svg("polyline", { points: points.map((point) => point.join()).join(" ") }),
    svg("circle", { cx: x, cy: y, r: 3.5 }));
}

const history = (runs) => runs.filter((run) => isNumber(run.accuracy)).slice(0, 20).reverse()
  .map((run) => run.accuracy);

function verdict(metrics) {
  const guess = metrics.baseline?.accuracy;
  const low = metrics.intervals?.accuracy?.[0];
  if (!isNumber(metrics.accuracy)) return "Live";
  const rows = isNumber(metrics.rows) ? `${metrics.rows.toLocaleString()} rows it had not seen` : "rows it had not seen";
  const right = `Right on ${percent(metrics.accuracy)} of ${rows}.`;
  if (!isNumber(guess)) return right;
  const other = `always “${metrics.baseline.class}” (${percent(guess)})`;
  return `${right} ${isNumber(low) && low > guess ? "Clearly better than" : "Compare with"} ${other}.`;
}

// ------------------------------------------------------------------------------- all datasets
async function showDatasets() {
  show("Live models", h("p", { class: "loading", role: "status" }, "Loading the live models…"));
  const { datasets = [] } = await ask("datasets");
  if (!datasets.length) {
    show("Live models", h("section", { class: "card narrow stack" },
      h("h1", {}, "No live models yet"),
      h("p", {}, "Upload a CSV file with a column that says what each row is. A few minutes later its model is here."),
      h("h3", {}, "On your laptop"), h("pre", {}, "make drop CSV=path/to/file.csv"),
      h("h3", {}, "On AWS"), h("pre", {}, "aws s3 cp file.csv s3://INBOX/"),
      h("p", { class: "dim small" }, "INBOX is the stack's output InboxBucketName. This page looks again every few seconds.")));
    await pause(5, view.signal);
    return showDatasets();
  }
  const cards = datasets.map(card);
  show("Live models",
    h("div", { class: "intro" }, h("h1", {}, "Live models"),
      h("p", { class: "dim" }, "Each learned from the files you uploaded. Open one to see how good it is, and to try it.")),
    h("ul", { class: "datasets" }, cards.map(({ item }) => item)));
  // A few at a time: the API limits how many requests it takes a second.
  const waiting = [...cards];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await next.fill();
  };
  await Promise.all([work(), work(), work()]);
}

function card(live) {
  const body = h("div", { class: "stack" }, h("p", { class: "dim" }, "Loading…"));
  const foot = h("p", { class: "foot dim small" }, "Live since ", moment(live.promoted) || "–");
  const item = h("li", {}, h("article", { class: "card" },
    h("div", { class: "row apart" },
      h("h2", {}, h("a", { href: `#/${live.dataset}` }, live.dataset)),
      h("span", { class: "badge good" }, "live")),
    body, foot));
  const fill = async () => {
    try {
      const [info, listed] = await Promise.all([
        ask(`datasets/${encodeURIComponent(live.dataset)}`),
        askIfThere(`datasets/${encodeURIComponent(live.dataset)}/runs`),
      ]);
      const metrics = info.live?.metrics || {};
      const values = history(listed?.runs || []);
      body.replaceChildren(
        h("div", { class: "row apart" },
          h("div", {}, h("span", { class: "big" }, percent(metrics.accuracy)),
            range(metrics.intervals?.accuracy) && h("div", { class: "dim small" }, `95${NARROW}% interval ${range(metrics.intervals.accuracy)}`)),
          values.length > 1 ? sparkline(values) : null),
        isNumber(metrics.accuracy) ? meter(metrics) : "",
        h("p", { class: "small" }, verdict(metrics)),
        newest(listed?.runs?.[0], info.live?.run) || "");
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (isAboutKey(problem)) throw problem;
      body.replaceChildren(h("p", { class: "dim" }, advice(problem)[0]));
    }
  };
  return { item, fill };
}

// Whoever looks at a live model has to know that the file after it came to nothing.
function newest(run, liveRun) {
  if (!run || run.run === liveRun || ["Live", "Retired", "Superseded"].includes(run.status)) return null;
  const why = run.error?.code ? `: ${words(run.error.code)}` : "";
  return h("p", { class: "small" }, `Newest file: ${run.file || run.run} `,
    h("span", { class: `badge ${BADGES[run.status] || ""}` }, `${run.status.toLowerCase()}${why}`));
}

// ------------------------------------------------------------------------------- one dataset
async function showDataset(dataset) {
  const path = `datasets/${encodeURIComponent(dataset)}`;
  show(dataset, h("p", { class: "loading", role: "status" }, `Loading ${dataset}…`));
  const runsSection = h("section", { class: "card wide", "aria-labelledby": "runs" });
  let info = null;
  let problem = null;
  try {
    info = await ask(path);
  } catch (error) {
    if (error.name === "AbortError" || isAboutKey(error)) throw error;
    problem = error;
  }
  const back = h("p", { class: "small" }, h("a", { href: "#/" }, "← All models"));
  if (!info) {
    show(dataset, back, h("div", { class: "intro" }, h("h1", {}, dataset)),
      h("div", { class: "sections" },
        h("div", { class: "wide" }, notice(problem, problem.seconds ? () => route() : null)), runsSection));
    return followRuns(path, dataset, runsSection, null);
  }
  const live = info.live || {};
  const metrics = live.metrics || {};
  const intervals = metrics.intervals || {};
  const facts = [
    ["Accuracy", percent(metrics.accuracy), range(intervals.accuracy) && `95${NARROW}% interval ${range(intervals.accuracy)}`],
    ["Macro F1", isNumber(metrics.macro_f1) ? metrics.macro_f1.toFixed(3) : "–", "mean over the classes"],
    metrics.baseline && ["Always the same", percent(metrics.baseline.accuracy), `“${metrics.baseline.class}” for every row`],
    info.k && ["Neighbours", String(info.k), { distance: "weighted by distance", uniform: "one vote each" }[info.weights]],
  ].filter(Boolean);
  show(dataset, back,
    h("div", { class: "intro" },
      h("div", { class: "row" }, h("h1", {}, dataset), h("span", { class: "badge good" }, "live")),
      h("p", { class: "dim" }, verdict(metrics), " Live since ", moment(live.promoted) || "–", "."),
      h("dl", { class: "facts" }, facts.map(([name, value, more]) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, value, more && h("small", {}, more))))),
      isNumber(metrics.accuracy) ? [meter(metrics), h("p", { class: "dim small" }, meterLegend(metrics))] : null),
    h("div", { class: "sections" },
      trySection(info, dataset),
      metrics.per_class ? classesSection(metrics) : null,
      metrics.confusion_matrix ? matrixSection(metrics) : null,
      runsSection));
  return followRuns(path, dataset, runsSection, live.run);
}

// Classes whose matrix takes the whole width.
const MANY = 6;

function classesSection(metrics) {
  const cell = (share, interval) => h("td", {}, percent(share), interval && h("small", {}, range(interval)));
  const names = (metrics.classes || Object.keys(metrics.per_class)).filter((name) => metrics.per_class[name]);
  return h("section", { class: names.length > MANY ? "card wide" : "card", "aria-labelledby": "classes" },
    h("h2", { id: "classes" }, "Class by class"),
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-labelledby": "classes" }, h("table", {},
      h("caption", {}, "Precision: how often it is right when it says so. Recall: how many of the class it finds. Below: 95 % intervals."),
      h("thead", {}, h("tr", {}, ["Class", "Precision", "Recall", "Rows"].map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, names.map((name) => {
        const of = metrics.per_class[name];
        return h("tr", {}, h("th", { scope: "row" }, name), cell(of.precision, of.precision_interval),
          cell(of.recall, of.recall_interval), h("td", {}, String(of.support ?? "–")));
      })))));
}

function matrixSection(metrics) {
  const rows = metrics.confusion_matrix;
  const names = metrics.classes || rows.map((_, place) => String(place));
  const cells = (row, place) => {
    const sum = row.reduce((one, other) => one + other, 0) || 1;
    return row.map((count, other) => {
      const share = count / sum;
      const kind = !count ? null : [place === other ? "right" : "error", share > 0.5 ? "strong" : ""].join(" ").trim();
      const cell = h("td", { class: kind, title: `${names[place]} taken for ${names[other]}: ${count} of ${sum} (${percent(share)})` }, String(count));
      cell.style.setProperty("--share", (share * 0.5).toFixed(3));
      return cell;
    });
  };
  return h("section", { class: names.length > MANY ? "card wide" : "card", "aria-labelledby": "matrix" },
    h("h2", { id: "matrix" }, "What it mixes up"),
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-labelledby": "matrix" }, h("table", { class: "matrix" },
      h("caption", {}, "Confusion matrix: a row is what the held-out rows are, a column what was predicted."),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "True class"), names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row, place) => h("tr", {}, h("th", { scope: "row" }, names[place]), cells(row, place)))))));
}

// ------------------------------------------------------------------------------- its runs
const BADGES = { Live: "good", Refused: "bad", Failed: "bad", Preparing: "busy", Training: "busy" };

function runItem(run, dataset) {
  const error = run.error || {};
  const stages = h("ol", { class: "stages", "aria-label": "Stages" });
  const item = h("li", {},
    h("div", { class: "row apart" },
      h("div", {}, h("div", { class: "when" }, run.file || run.run),
        h("div", { class: "dim small" }, moment(droppedAt(run)), isNumber(run.accuracy) ? ` · ${percent(run.accuracy)} right` : null)),
      h("div", { class: "row" }, h("span", { class: `badge ${BADGES[run.status] || ""}` }, String(run.status || "–").toLowerCase()),
        ENDED.has(run.status) && h("a", { href: `#/${dataset}/${run.run}`, "aria-label": `Report of ${run.run}` }, "Report"))),
    error.code && h("div", { class: "why small" }, h("p", {}, `Why: ${words(error.code)}.`),
      error.remedy && h("details", {}, h("summary", {}, "What to do"), h("pre", {}, error.remedy))),
    ENDED.has(run.status) ? null : stages);
  return { item, stages };
}

function drawStages(list, stages) {
  const names = Object.keys(stages || {});
  const current = names.find((name) => !stages[name]);
  list.replaceChildren(...names.map((name) => {
    const state = stages[name] ? "done" : name === current ? "now" : "";
    return h("li", { class: state, "aria-current": state === "now" ? "step" : null }, name,
      h("span", { class: "unseen" }, { done: " (done)", now: " (in progress)" }[state] || " (to come)"));
  }));
}

async function followRuns(path, dataset, section, liveRun) {
  const signal = view.signal;
  for (;;) {
    const listed = await askIfThere(`${path}/runs`);
    if (!listed?.runs) {
      section.remove();
      return;
    }
    drawRuns(section, path, dataset, listed);
    const isLive = listed.runs.find((run) => run.status === "Live");
    // Another model went live while this was open: all that is shown is out of date.
    if (isLive && liveRun !== isLive.run && listed.runs.every((run) => ENDED.has(run.status))) {
      const current = await askIfThere(path);
      if (current?.live?.run && current.live.run !== liveRun) return route();
    }
    const running = listed.runs.find((run) => !ENDED.has(run.status));
    if (running) await followRun(path, running, section, signal);
    else await pause(20, signal);
    while (document.hidden) await pause(2, signal);
  }
}

function drawRuns(section, path, dataset, listed) {
  const list = h("ol", { class: "runs" }, listed.runs.map((run) => runItem(run, dataset).item));
  const more = listed.next ? h("button", { type: "button", class: "quiet small", onclick: async () => {
    const next = await askIfThere(`${path}/runs?next=${encodeURIComponent(listed.next)}`);
    list.append(...(next?.runs || []).map((run) => runItem(run, dataset).item));
    listed.next = next?.next;
    more.hidden = !listed.next;
  } }, "Older runs") : null;
  // What somebody has opened, or is about to press, stays under their fingers.
  if (section.contains(document.activeElement) || section.querySelector("details[open]")) return;
  section.replaceChildren(h("h2", { id: "runs" }, "Runs"),
    h("p", { class: "dim" }, "What became of each file, the newest first."),
    listed.runs.length ? list : h("p", { class: "dim" }, "There are none yet."), more || "");
}

async function followRun(path, run, section, signal) {
  for (;;) {
    const now = await askIfThere(`${path}/runs/${encodeURIComponent(run.run)}`);
    if (!now || ENDED.has(now.status)) return pause(now ? 0.5 : 5, signal);
    const stages = section.querySelector(".stages");
    if (stages) drawStages(stages, now.stages);
    await pause(2, signal);
    while (document.hidden) await pause(2, signal);
  }
}

async function showReport(dataset, run) {
  show(`Report of ${run}`, h("p", { class: "loading", role: "status" }, "Loading the report…"));
  const back = h("p", { class: "small" }, h("a", { href: `#/${dataset}` }, `← ${dataset}`));
  let html;
  try {
    const address = `${root}datasets/${encodeURIComponent(dataset)}/runs/${encodeURIComponent(run)}/report`;
    html = await (await request(address)).text();
  } catch (problem) {
    if (problem.name === "AbortError" || isAboutKey(problem)) throw problem;
    show(`Report of ${run}`, back, h("h1", {}, "Report"), notice(problem));
    return;
  }
  const file = URL.createObjectURL(new Blob([html], { type: "text/html" }));
  view.signal.addEventListener("abort", () => URL.revokeObjectURL(file));
  const host = h("div", { class: "card report" });
  drawReport(host, html);
  show(`Report of ${run}`,
    h("div", { class: "row apart" }, back, h("a", { class: "button quiet", href: file, download: `${run}.html` }, "Save")),
    h("h1", { class: "unseen" }, `Report of ${run}`), host);
}

// The report has its style inline, which this page's policy forbids, in a frame or a tab of this page
// too. So it is read as data, and its style is set by this script.
function drawReport(host, html) {
  const rules = [];
  const inert = html.replace(/<style[^>]*>([\s\S]*?)<\/style>/gi, (_, css) => { rules.push(css); return ""; })
    .replace(/<([a-z][a-z0-9]*)\b([^>]*?)\sstyle="/gi, '<$1$2 data-style="');
  const report = new DOMParser().parseFromString(inert, "text/html");
  report.querySelectorAll("script, link, meta, base, iframe, object, embed, form").forEach((each) => each.remove());
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(rules.join("\n"));
  const shadow = host.attachShadow({ mode: "open" });
  shadow.adoptedStyleSheets = [sheet];
  const body = h("div", { class: report.body.className });
  body.style.cssText = report.body.dataset.style || "";
  body.append(...[...report.body.childNodes].map((node) => document.importNode(node, true)));
  body.querySelectorAll("[data-style]").forEach((each) => { each.style.cssText = each.dataset.style; });
  // There is a main already: the page's.
  body.querySelectorAll("main").forEach((each) => each.setAttribute("role", "presentation"));
  shadow.append(body);
}

// ------------------------------------------------------------------------------- try it
function featuresOf(info) {
  const schema = info.schema || {};
  const given = Array.isArray(info.features) ? info.features : schema.features || [];
  return given.map((each, place) =>
    typeof each === "string" ? { name: each, role: (schema.types || [])[place] || "number" } : each);
}

function startOf(feature, example, place) {
  const given = Array.isArray(example) ? example[place] : example?.[feature.name];
  if (given !== undefined) return given;
  if (feature.role === "boolean") return false;
  if (feature.role === "category") return (feature.categories || []).find(Boolean) ?? "";
  if (isNumber(feature.minimum) && isNumber(feature.maximum)) {
    const middle = (feature.minimum + feature.maximum) / 2;
    return Number.isInteger(feature.minimum) && Number.isInteger(feature.maximum) ? Math.round(middle) : Number(middle.toPrecision(3));
  }
  return 0;
}

function stepOf({ minimum, maximum }, start) {
  if ([minimum, maximum].every(Number.isInteger) && (start === null || Number.isInteger(start))) return 1;
  return 10 ** Math.floor(Math.log10((maximum - minimum) / 50 || 1));
}

let fieldCount = 0;
function field(feature, start, changed) {
  fieldCount += 1;
  const id = `field-${fieldCount}`;
  const { name, role, nullable } = feature;
  const control = h("div", { class: "control alone" });
  const hint = h("div", { class: "hint" });
  const inputs = [];
  let value;
  if (role === "boolean") {
    if (nullable) {
      const select = h("select", { id, onchange: changed }, [["true", "true"], ["false", "false"], ["", "missing"]].map(([of, text]) => h("option", { value: of }, text)));
      select.value = start === null ? "" : String(Boolean(start));
      control.append(select);
      value = () => (select.value === "" ? null : select.value === "true");
    } else {
      const box = h("input", { id, type: "checkbox", onchange: changed });
      box.checked = Boolean(start);
      control.append(h("span", { class: "switch" }, box, h("span", { class: "dim" }, "true")));
      value = () => box.checked;
    }
  } else if (role === "category" && feature.categories?.length) {
    const known = feature.categories.filter((each) => each !== null && each !== "").map(String);
    const given = start === null ? "" : String(start);
    const options = known.includes(given) || given === "" ? known : [given, ...known];
    const select = h("select", { id, onchange: changed }, options.map((each) => h("option", { value: each }, each)),
      nullable && h("option", { value: "" }, "missing"));
    select.value = given;
    control.append(select);
    value = () => (nullable && select.selectedIndex === options.length ? null : select.value);
  } else if (role === "category") {
    const text = h("input", { id, type: "text", value: start ?? "", oninput: changed });
    control.append(text);
    inputs.push(text);
    value = () => text.value;
  } else {
    const box = h("input", { id, type: "number", step: "any", inputmode: "decimal", value: start ?? "", oninput: () => { outside(); changed(); } });
    const has = isNumber(feature.minimum) && isNumber(feature.maximum) && feature.minimum < feature.maximum;
    const trained = has && `${exact(feature.minimum)} to ${exact(feature.maximum)}`;
    const text = h("span", {}, has ? trained : "");
    const outside = () => {
      const number = box.valueAsNumber;
      const isOutside = has && (number < feature.minimum || number > feature.maximum);
      text.className = isOutside ? "outside" : "";
      text.textContent = isOutside ? `outside of ${trained}` : has ? trained : "";
    };
    inputs.push(box);
    if (has) {
      const slider = h("input", { type: "range", min: feature.minimum, max: feature.maximum, step: "any", "aria-label": name });
      slider.value = start ?? (feature.minimum + feature.maximum) / 2;
      const step = stepOf(feature, start);
      const take = () => {
        // Rounded here and not by the slider, whose steps would begin at the minimum.
        const number = Math.min(feature.maximum, Math.max(feature.minimum, Math.round(slider.value / step) * step));
        box.value = Number(number.toPrecision(10));
        outside();
        changed();
      };
      slider.addEventListener("input", take);
      slider.addEventListener("keydown", (event) => {
        const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
        if (!by) return;
        event.preventDefault();
        slider.value = Number(slider.value) + by * step;
        take();
      });
      box.addEventListener("input", () => { if (isNumber(box.valueAsNumber)) slider.value = box.value; });
      control.classList.remove("alone");
      control.append(slider);
      inputs.push(slider);
      hint.append(text);
    }
    control.append(box);
    value = () => (isNumber(box.valueAsNumber) ? box.valueAsNumber : nullable ? null : undefined);
  }
  if (nullable && inputs.length) {
    const missing = h("input", { type: "checkbox", "aria-label": `${name} is missing`, onchange: () => { turn(); changed(); } });
    const present = value;
    const turn = () => inputs.forEach((input) => { input.disabled = missing.checked; });
    missing.checked = start === null;
    turn();
    value = () => (missing.checked ? null : present());
    hint.append(h("label", {}, missing, "missing"));
  }
  const element = h("div", { class: "field" }, h("label", { for: id }, name), control, hint.hasChildNodes() ? hint : null);
  return { element, name, value: () => value() };
}

function trySection(info, dataset) {
  const features = featuresOf(info);
  const label = h("div", { class: "label" }, "…");
  const about = h("p", { class: "dim small" }, `The model's answer for ${info.label || info.schema?.label || "these values"}`);
  const bars = h("ol", { class: "bars" });
  const answer = h("div", { class: "answer", "aria-busy": "true" }, about, label, bars);
  const near = h("div", { class: "near" });
  const calls = h("pre", { id: "call", role: "tabpanel", tabindex: 0 });
  const signal = view.signal;
  let timer;
  let current = null;
  // A question wakes an asynchronous endpoint, which costs for a quarter of an hour: not unasked.
  const asksByItself = info.live?.endpoint_kind !== "async";
  const changed = () => {
    clearTimeout(timer);
    timer = setTimeout(() => update(), 150);
  };
  const example = info.example ?? info.schema?.example;
  const fields = features.map((feature, place) => field(feature, startOf(feature, example, place), changed));

  async function update(asked = asksByItself) {
    current?.abort();
    const mine = new AbortController();
    current = mine;
    const stop = () => mine.abort();
    signal.addEventListener("abort", stop, { once: true });
    const empty = fields.find((each) => each.value() === undefined);
    if (empty) {
      label.textContent = `Give a number for ${empty.name}.`;
      answer.setAttribute("aria-busy", "true");
      return;
    }
    // Not an array, whose order a reader of the call would have to know.
    const instance = Object.fromEntries(fields.map((each) => [each.name, each.value()]));
    drawCall(instance);
    if (!asked) {
      label.textContent = "Press “Predict”";
      bars.replaceChildren();
      near.hidden = true;
      return;
    }
    answer.setAttribute("aria-busy", "true");
    try {
      const { predictions: [prediction] } = await predict(dataset, instance, mine.signal);
      drawAnswer(prediction);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (isAboutKey(problem)) {
        leave();
        showKeyForm("This key is no longer accepted.");
        return;
      }
      label.textContent = "";
      bars.replaceChildren();
      near.hidden = true;
      label.append(notice(problem, problem.seconds ? () => update(true) : null));
    } finally {
      signal.removeEventListener("abort", stop);
    }
    answer.setAttribute("aria-busy", "false");
  }

  function drawAnswer(prediction) {
    const shares = Object.entries(prediction.probabilities || {}).sort(([, one], [, other]) => other - one);
    const classes = info.classes || info.schema?.classes || [];
    // Few classes keep their places, so that bars move and don't jump.
    const few = classes.length <= 6;
    const drawn = few ? classes.map((name) => [name, prediction.probabilities?.[name] || 0]) : shares.slice(0, 6);
    label.textContent = prediction.label;
    if (bars.children.length !== drawn.length || !few) bars.replaceChildren(...drawn.map(() => h("li", {}, h("span", { class: "name" }), h("span", { class: "bar", "aria-hidden": "true" }, h("i")), h("span", { class: "share" }))));
    drawn.forEach(([name, share], place) => {
      const item = bars.children[place];
      item.className = name === prediction.label ? "first" : "";
      item.children[0].textContent = name;
      item.children[0].title = name;
      item.children[1].firstChild.style.width = `${share * 100}%`;
      item.children[2].textContent = percent(share);
    });
    drawNeighbors(prediction);
    announce(`${prediction.label}, ${percent(prediction.probabilities?.[prediction.label])} of the vote`);
  }

  const plot = svg("svg", { "aria-hidden": "true" });
  const dots = svg("g");
  plot.append(svg("line", { x1: "2%", x2: "98%", y1: 28, y2: 28 }), svg("circle", { class: "you", cx: "2%", cy: 28, r: 5 }), dots,
    svg("text", { x: 0, y: 60 }, "your row"), svg("text", { x: "100%", y: 60, "text-anchor": "end" }, "farther"));
  const nearest = h("p", { class: "dim small" });
  const nearRows = h("tbody");
  near.append(h("h3", {}, "Nearest training rows"), nearest, plot,
    h("table", {}, h("caption", { class: "unseen" }, "Nearest training rows"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Class"), h("th", { scope: "col" }, "Distance"))), nearRows));
  near.hidden = true;

  function drawNeighbors({ neighbors = [], label: winner }) {
    near.hidden = !neighbors.length;
    const farthest = Math.max(...neighbors.map((each) => each.distance)) || 1;
    const same = neighbors.filter((each) => each.label === winner).length;
    nearest.textContent = `${same} of the nearest ${neighbors.length} are ${winner}.`;
    // The same dots, so that they move as somebody drags.
    while (dots.children.length > neighbors.length) dots.lastChild.remove();
    neighbors.forEach((each, place) => {
      const dot = dots.children[place] || dots.appendChild(svg("circle", { cy: place % 2 ? 35 : 21, r: 7 }));
      dot.setAttribute("class", each.label === winner ? "same" : "");
      dot.setAttribute("cx", `${6 + (each.distance / farthest) * 88}%`);
    });
    nearRows.replaceChildren(...neighbors.map((each) => h("tr", {}, h("td", {}, each.label), h("td", {}, figure(each.distance)))));
  }

  let language = "curl";
  let shown = {};
  function drawCall(instance) {
    shown = instance;
    calls.textContent = callOf(language, dataset, instance);
  }
  const tabs = ["curl", "Python"].map((name) => h("button", { type: "button", role: "tab", id: `tab-${name}`,
    "aria-controls": "call", "aria-selected": name === language, tabindex: name === language ? 0 : -1,
    onclick: () => choose(name),
    onkeydown: (event) => {
      if (event.key === "ArrowLeft" || event.key === "ArrowRight") choose(language === "curl" ? "Python" : "curl", true);
    } }, name));
  function choose(name, focus) {
    language = name;
    tabs.forEach((tab) => {
      const isChosen = tab.textContent === name;
      tab.setAttribute("aria-selected", isChosen);
      tab.tabIndex = isChosen ? 0 : -1;
      if (isChosen && focus) tab.focus();
    });
    calls.setAttribute("aria-labelledby", `tab-${name}`);
    drawCall(shown);
  }
  const copy = h("button", { type: "button", class: "quiet small", onclick: async () => {
    try {
      await navigator.clipboard.writeText(calls.textContent);
      copy.textContent = "Copied";
      announce("Copied");
    } catch {
      // No clipboard without TLS: select it, so that the keyboard copies.
      getSelection().selectAllChildren(calls);
      copy.textContent = "Selected: press Ctrl+C";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 2500);
  } }, "Copy");

  const reset = h("button", { type: "button", class: "quiet small", onclick: () => {
    clearTimeout(timer);
    current?.abort();
    const anew = trySection(info, dataset);
    section.replaceWith(anew);
    anew.querySelector("button").focus();
  } }, "Reset");
  const section = h("section", { class: "card wide", "aria-labelledby": "try" },
    h("div", { class: "row apart" }, h("h2", { id: "try" }, "Try it"), reset),
    h("div", { class: "try" },
      h("div", { class: "given" },
        h("form", { class: "fields", "aria-labelledby": "try", onsubmit: (event) => { event.preventDefault(); update(true); } },
          fields.map((each) => each.element), asksByItself ? null : h("button", {}, "Predict")),
        // Where there is room beside the answer, and the form is short, it is open.
        h("details", { class: "call stack", open: fields.length < 12 && matchMedia("(min-width: 860px)").matches },
          h("summary", {}, "Call the API with these values"),
          h("div", { class: "row apart" }, h("div", { class: "tabs", role: "tablist", "aria-label": "Language" }, tabs), copy), calls)),
      h("div", { class: "result" }, answer, near)));
  choose(language);
  update();
  return section;
}

async function predict(dataset, instance, signal) {
  const address = new URL(`${root}datasets/${encodeURIComponent(dataset)}/predictions?neighbors=5`, location.href);
  let answer = await request(address, { body: JSON.stringify({ instances: [instance] }), signal });
  while (answer.status === 202) {
    await pause(Number(answer.headers.get("retry-after")) || 1, signal);
    answer = await request(new URL(answer.headers.get("location"), answer.url), { signal });
  }
  return answer.json();
}

function callOf(language, dataset, instance) {
  const address = new URL(`${root}datasets/${encodeURIComponent(dataset)}/predictions`, location.href).href;
  const body = JSON.stringify({ instances: [instance] });
  if (language === "curl") {
    const quoted = `'${body.replaceAll("'", "'\\''")}'`;
    return `curl -s ${address} \\\n  -H 'content-type: application/json' \\\n  -H "x-api-key: $API_KEY" \\\n  -d ${quoted}`;
  }
  const python = (value) => (value === null ? "None" : value === true ? "True" : value === false ? "False" : JSON.stringify(value));
  const pairs = Object.entries(instance).map(([name, value]) => `    ${JSON.stringify(name)}: ${python(value)},`).join("\n");
  return `import json, os, urllib.request

row = {
${pairs}
}
request = urllib.request.Request(
    "${address}",
    json.dumps({"instances": [row]}).encode(),
    {"content-type": "application/json", "x-api-key": os.environ["API_KEY"]},
)
with urllib.request.urlopen(request) as answer:
    print(json.load(answer)["predictions"][0])`;
}

// ------------------------------------------------------------------------------- addresses
function leave() {
  view.abort();
  view = new AbortController();
}

async function route() {
  leave();
  const mine = view;
  const address = location.hash;
  // Not when it opens: a reader begins at the top then anyway.
  if (lastAddress !== null && address !== lastAddress) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  lastAddress = address;
  if (!storedKey) {
    showKeyForm();
    return;
  }
  const [, dataset, run] = address.split("/");
  try {
    if (run) await showReport(dataset, run);
    else if (dataset) await showDataset(dataset);
    else await showDatasets();
  } catch (problem) {
    if (problem.name === "AbortError" || mine !== view) return;
    if (!(problem instanceof Problem)) throw problem;
    if (isAboutKey(problem)) showKeyForm("This key is not accepted. Check that you copied all of it.");
    else show("No answer", h("div", { class: "narrow stack" }, h("h1", {}, "No answer"), notice(problem, () => route())));
  }
}

addEventListener("hashchange", () => { if (location.hash !== "#main") route(); });
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.getElementById("forget").addEventListener("click", () => {
  leave();
  showKeyForm();
});
remember(storedKey);
route();
