// One dataset.
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
    show(dataset, back,
      h("div", { class: "intro row apart" }, h("h1", {}, dataset),
        problem.code === "NeverLive" && h("a", { class: "button quiet", href: `#/+/${dataset}` }, "Upload the next file")),
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
  const tried = trySection(info, dataset);
  show(dataset, back,
    h("div", { class: "intro" },
      h("div", { class: "row apart" },
        h("div", { class: "row" }, h("h1", {}, dataset), h("span", { class: "badge good" }, "live")),
        h("a", { class: "button quiet", href: `#/+/${dataset}` }, "Upload the next file")),
      h("p", { class: "dim" }, verdict(metrics), " Live since ", moment(live.promoted) || "–", "."),
      h("dl", { class: "facts" }, facts.map(([name, value, more]) =>
        h("div", {}, h("dt", {}, name), h("dd", {}, value, more && h("small", {}, more))))),
      isNumber(metrics.accuracy) ? [meter(metrics), h("p", { class: "dim small" }, meterLegend(metrics))] : null),
    h("div", { class: "sections" },
      tried.section,
      metrics.per_class ? classesSection(metrics) : null,
      metrics.confusion_matrix ? matrixSection(metrics, { dataset, run: live.run, label: info.label, tryRow: tried.use }) : null,
      scoreSection(info, dataset),
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
      }))), confidenceOf(metrics)));
}

// Without a run that rows can be asked of, its cells are no buttons.
function matrixSection(metrics, of = {}) {
  const rows = metrics.confusion_matrix;
  const names = metrics.classes || rows.map((_, place) => String(place));
  const opened = h("section", { id: "rows", class: "card wide", "aria-label": "Rows of a cell", hidden: true });
  let pressed = null;
  const open = (button, cell, told) => {
    const isSame = pressed === button;
    pressed?.setAttribute("aria-expanded", "false");
    pressed = isSame ? null : button;
    opened.hidden = isSame;
    if (isSame) return;
    button.setAttribute("aria-expanded", "true");
    opened.replaceChildren(rowsTable({ ...of, query: cell, caption: `Held-out rows: ${told}.` }));
  };
  const cells = (row, place) => {
    const sum = row.reduce((one, other) => one + other, 0) || 1;
    return row.map((count, other) => {
      const share = count / sum;
      const kind = !count ? null : [place === other ? "right" : "error", share > 0.5 ? "strong" : ""].join(" ").trim();
      const told = place === other ? `${names[place]}, recognised` : `${names[place]} taken for ${names[other]}`;
      const button = count && of.run ? h("button", { type: "button", "aria-expanded": "false", "aria-controls": "rows",
        "aria-label": `${count} of ${sum} rows: ${told}`, onclick: () => open(button, { true: names[place], predicted: names[other] }, told) }, String(count)) : String(count);
      const cell = h("td", { class: kind, title: `${told}: ${count} of ${sum} (${percent(share)})` }, button);
      cell.style.setProperty("--share", (share * 0.5).toFixed(3));
      return cell;
    });
  };
  return [h("section", { class: names.length > MANY ? "card wide" : "card", "aria-labelledby": "matrix" },
    h("h2", { id: "matrix" }, "What it mixes up"),
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-labelledby": "matrix" }, h("table", { class: "matrix" },
      h("caption", {}, "Confusion matrix: a row is what the held-out rows are, a column what was predicted.", of.run ? " Choose a cell to see its rows." : ""),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "True class"), names.map((name) => h("th", { scope: "col" }, name)))),
      h("tbody", {}, rows.map((row, place) => h("tr", {}, h("th", { scope: "row" }, names[place]), cells(row, place))))))), opened];
}

// How often it is right when so much of the vote is for its answer.
function confidenceOf({ by_confidence: bounds = [] }) {
  const known = bounds.filter((each) => each.rows);
  return known.length ? h("table", { class: "sure" }, h("caption", {}, "How often it is right if at least so much of the vote is for its answer."),
    h("thead", {}, h("tr", {}, ["Vote", "Right", "Rows"].map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, known.map((each) => h("tr", {}, h("th", { scope: "row" }, `${whole(each.at_least)}${NARROW}% and more`),
      h("td", {}, percent(each.right / each.rows)), h("td", {}, each.rows.toLocaleString()))))) : null;
}
