// The runs of a dataset, and their reports.
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
  // There is a main already, the page's; and a header cell without a text heads nothing.
  replaceAll(body.querySelectorAll("main"), "div");
  replaceAll([...body.querySelectorAll("th")].filter((each) => !each.textContent.trim()), "td");
  // What scrolls has to be scrolled by the keyboard, too.
  body.querySelectorAll("[data-style*=overflow-x]").forEach((each) => { each.tabIndex = 0; });
  shadow.append(body);
}

function replaceAll(elements, tag) {
  for (const each of elements) {
    const other = h(tag, { class: each.className }, [...each.childNodes]);
    other.style.cssText = each.style.cssText;
    each.replaceWith(other);
  }
}
