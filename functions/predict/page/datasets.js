// All datasets.
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

async function showDatasets() {
  show("Live models", h("p", { class: "loading", role: "status" }, "Loading the live models…"));
  const { datasets = [] } = await ask("datasets");
  if (!datasets.length) {
    show("Live models", h("section", { class: "card narrow stack" },
      h("h1", {}, "No live models yet"),
      h("p", {}, "Upload a CSV file with a column that says what each row is. A few minutes later its model is here."),
      h("div", {}, uploadLink()),
      h("details", {}, h("summary", {}, "Or from a terminal"), h("div", { class: "stack" },
        h("h2", {}, "On your laptop"), h("pre", {}, "make drop CSV=path/to/file.csv"),
        h("h2", {}, "On AWS"), h("pre", {}, "aws s3 cp file.csv s3://INBOX/"),
        h("p", { class: "dim small" }, "INBOX is the stack's output InboxBucketName."))),
      h("p", { class: "dim small" }, "This page looks again every few seconds.")));
    // Somebody may be reading how it is done.
    do await pause(5, view.signal); while (main.querySelector("details[open]") || main.contains(document.activeElement) && document.activeElement !== main);
    return showDatasets();
  }
  const cards = datasets.map(card);
  show("Live models",
    h("div", { class: "intro row apart" }, h("div", {}, h("h1", {}, "Live models"),
      h("p", { class: "dim" }, "Each learned from the files you uploaded. Open one to see how good it is, and to try it.")), uploadLink()),
    h("ul", { class: "datasets" }, cards.map(({ item }) => item)));
  // A few at a time: the API limits how many requests it takes a second.
  const waiting = [...cards];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) await next.fill();
  };
  await Promise.all([work(), work(), work()]);
}

const uploadLink = () => h("a", { class: "button", href: "#/+" }, "Upload a CSV");

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
