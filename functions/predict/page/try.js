// Try it: a row, what the model says of it, and how to ask the API for that.
// Returns the section, and what fills its form with a held-out row.
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
  const starts = features.map((feature, place) => startOf(feature, example, place));
  const fields = features.map((feature, place) => field(feature, starts[place], () => { told(null); changed(); }));
  // Which row fills the form, and what it really is; gone as soon as somebody changes it.
  const source = h("p", { class: "source", hidden: true });
  function told(row) {
    source.hidden = !row;
    if (row) source.replaceChildren("A held-out row. It is really ", h("strong", {}, row.true), ".");
  }
  function fill(values, row) {
    fields.forEach((each, place) => each.set(values[place] ?? null));
    told(row);
    update();
  }

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
    plot?.drawRow(instance, label.textContent);
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
    plot?.drawRow(shown, prediction.label);
    announce(`${prediction.label}, ${percent(prediction.probabilities?.[prediction.label])} of the vote`);
  }

  const nearest = h("summary", {});
  const nearRows = h("tbody");
  near.append(h("details", { open: true }, nearest,
    h("table", {}, h("caption", { class: "unseen" }, "Nearest training rows"),
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Class"), h("th", { scope: "col" }, "Distance"))), nearRows)));
  near.hidden = true;

  function drawNeighbors({ neighbors = [] }) {
    near.hidden = !neighbors.length;
    nearest.textContent = `Distances of the nearest ${neighbors.length}`;
    nearRows.replaceChildren(...neighbors.map((each) => h("tr", {}, h("td", {}, each.label), h("td", {}, figure(each.distance)))));
  }

  let plot = null;
  const where = h("div", { class: "where-box" });
  async function drawPlot() {
    const sample = await askIfThere(`datasets/${encodeURIComponent(dataset)}/runs/${encodeURIComponent(info.live.run)}/training-sample`);
    plot = sample && plotOf(sample, info, (values) => {
      fields.filter((each) => each.name in values).forEach((each) => each.set(rounded(values[each.name], each.feature, each.step)));
      told(null);
      // What moves with the pointer doesn't wait for the answer.
      plot.drawRow(Object.fromEntries(fields.map((each) => [each.name, each.value()])), label.textContent);
      changed();
    });
    if (!plot) return;
    where.append(plot.element);
    near.querySelector("details").open = false;
    plot.drawRow(shown, label.textContent);
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

  // One after the other; those that it gets wrong by the cells of the confusion matrix.
  const { classes: names = [], confusion_matrix: matrix = [] } = info.live?.metrics || {};
  const cells = matrix.flatMap((row, place) => row.map((count, other) => (count && place !== other ? { true: names[place], predicted: names[other] } : null))).filter(Boolean);
  async function* wrongRows() { for (const cell of cells) yield* heldOutOneByOne(dataset, info.live.run, cell); }
  function taker(name, rowsOf) {
    let rows = null;
    const button = h("button", { type: "button", class: "quiet small", onclick: async () => {
      try {
        rows ||= rowsOf();
        let next = await rows.next();
        if (next.done) {
          rows = rowsOf();
          next = await rows.next();
        }
        if (next.value) fill(next.value.instance, next.value);
        else button.disabled = true;
      } catch (problem) {
        if (problem.name === "AbortError") return;
        rows = null;
        label.replaceChildren(notice(problem));
      }
    } }, name);
    return button;
  }
  const takers = info.live?.run ? [taker("Use a held-out row", () => heldOutOneByOne(dataset, info.live.run)), cells.length ? taker("One it gets wrong", wrongRows) : null] : [];
  const reset = h("button", { type: "button", class: "quiet small", onclick: () => fill(starts, null) }, "Reset");
  const section = h("section", { class: "card wide", "aria-labelledby": "try" },
    h("div", { class: "row apart" }, h("h2", { id: "try", tabindex: -1 }, "Try it"), h("div", { class: "row" }, takers, reset)),
    source,
    h("div", { class: "try" },
      h("div", { class: "given" },
        h("form", { class: "fields", "aria-labelledby": "try", onsubmit: (event) => { event.preventDefault(); update(true); } },
          fields.map((each) => each.element), asksByItself ? null : h("button", {}, "Predict")),
        // Where there is room beside the answer, and the form is short, it is open.
        h("details", { class: "call stack", open: fields.length < 12 && matchMedia("(min-width: 860px)").matches },
          h("summary", {}, "Call the API with these values"),
          h("p", { class: "small" }, h("a", { href: `${root}docs` }, "All that the API can do")),
          h("div", { class: "row apart" }, h("div", { class: "tabs", role: "tablist", "aria-label": "Language" }, tabs), copy), calls)),
      h("div", { class: "result" }, answer, h("div", { class: "around" }, where, near))));
  choose(language);
  update();
  if (info.live?.run) drawPlot();
  return { section, use: (row) => {
    fill(row.instance, row);
    section.scrollIntoView({ block: "start" });
    section.querySelector("h2").focus({ preventScroll: true });
  } };
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
