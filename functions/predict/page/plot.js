// Where a row is among the training rows: a plot of two features, and the nearest rows in it.
const SIZE = { width: 380, height: 300, left: 44, right: 12, top: 12, bottom: 40 };
const SHAPES = [
  "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0Z", "M-3.6-3.6h7.2v7.2h-7.2Z", "M0-4.8 4.4 3.4h-8.8Z", "M0-5 4.6 0 0 5-4.6 0Z",
  "M0 4.8 4.4-3.4h-8.8Z", "M-1.6-4.6h3.2v3h3v3.2h-3v3h-3.2v-3h-3v-3.2h3Z", "M-4.6 0-2.3-4h4.6L4.6 0 2.3 4h-4.6Z", "M-4.6-2h9.2v4h-9.2Z",
];
const MAX_LINES = 30;
const MISSING_WORDS = new Set(["", "?", "na", "n/a", "nan", "-nan", "none", "null", "<na>", "#n/a", "#n/a n/a", "#na", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"]);

// What the model sees of a row: the same as pipeline.transform in Python, for one row.
function mapped({ columns, matrix }, instance) {
  const numbers = columns.flatMap((column) => encoded(column, instance[column.name])
    .map((number, place) => (number - column.offsets[place]) / column.scales[place]));
  return matrix ? matrix.map((weights) => weights.reduce((sum, weight, place) => sum + weight * numbers[place], 0)) : numbers;
}

function encoded({ role, fill, values }, value) {
  const text = value === null || value === undefined ? "" : String(value).trim();
  const isMissing = MISSING_WORDS.has(text.toLowerCase());
  if (role === "category") {
    const known = isMissing ? "" : /^-?\d+\.0$/.test(text) ? text.slice(0, -2) : text;
    const listed = values.indexOf(known);
    const place = listed >= 0 || known === "" ? listed : values.indexOf(null);
    return values.map((_, each) => Number(each === place));
  }
  if (isMissing) return [fill ?? 0];
  return [role === "boolean" ? Number(isTrue(value)) : Number(value)];
}

function distanceOf(metric, one, other) {
  if (metric !== "COSINE") return Math.sqrt(one.reduce((sum, each, place) => sum + (each - other[place]) ** 2, 0));
  const dot = (a, b) => a.reduce((sum, each, place) => sum + each * b[place], 0);
  return 1 - dot(one, other) / (Math.sqrt(dot(one, one) * dot(other, other)) || 1);
}

function nearestOf(sample, instance, count) {
  const point = mapped(sample.transform, instance);
  return sample.mapped.map((row, place) => ({ place, distance: distanceOf(sample.metric, row, point) }))
    .sort((one, other) => one.distance - other.distance).slice(0, count);
}

// How much of a feature's variance lies between the classes.
function telling(sample, place) {
  const pairs = sample.rows.map((row, number) => [row[place], sample.classes[number]]).filter(([value]) => isNumber(value));
  const mean = (values) => values.reduce((sum, each) => sum + each, 0) / values.length;
  const spread = (values) => { const middle = mean(values); return values.reduce((sum, each) => sum + (each - middle) ** 2, 0); };
  const values = [...grouped(pairs, ([, name]) => name).values()].map((group) => group.map(([value]) => value));
  const whole = spread(values.flat());
  return whole ? 1 - values.reduce((sum, group) => sum + spread(group), 0) / whole : 0;
}

// `moved` takes the values of the two features that somebody has dragged the point to.
function plotOf(sample, info, moved) {
  const axes = sample.features.map((name, place) => ({ name, place, feature: featuresOf(info)[place] }))
    .filter(({ feature }) => feature?.role === "number" && hasRange(feature));
  if (axes.length < 2) return null;
  const best = [...axes].sort((one, other) => telling(sample, other.place) - telling(sample, one.place));
  const shown = { x: best[0], y: best[1] };
  const classes = info.classes || [...new Set(sample.classes)];
  const few = classes.length <= SHAPES.length;
  const styleOf = (name) => (few ? classes.indexOf(name) : 0);
  const plot = svg("svg", { class: few ? "plot" : "plot many", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img" });
  const frame = svg("g", { class: "frame" });
  const points = svg("g");
  const lines = svg("g", { class: "lines" });
  const rings = svg("g", { class: "rings" });
  const you = svg("g", { class: "you" }, svg("circle", { class: "hold", r: 24 }), svg("circle", { class: "halo", r: 9 }), svg("circle", { class: "dot", r: 6 }));
  plot.append(frame, lines, points, rings, you);
  const marks = sample.rows.map((_, place) => svg("path", { class: `c${styleOf(sample.classes[place])}`, d: SHAPES[styleOf(sample.classes[place])] }));
  points.append(...marks);
  let last = null;

  const scaleOf = ({ feature }, from, to) => {
    const span = feature.maximum - feature.minimum;
    return { at: (value) => from + ((Math.min(feature.maximum, Math.max(feature.minimum, value)) - feature.minimum) / span) * (to - from),
      back: (place) => feature.minimum + ((place - from) / (to - from)) * span };
  };
  const x = () => scaleOf(shown.x, SIZE.left, SIZE.width - SIZE.right);
  const y = () => scaleOf(shown.y, SIZE.height - SIZE.bottom, SIZE.top);
  const placeOf = (row) => [x().at(row[shown.x.place]), y().at(row[shown.y.place])];
  const isShown = (row) => isNumber(row[shown.x.place]) && isNumber(row[shown.y.place]);

  function drawAll() {
    const [right, bottom] = [SIZE.width - SIZE.right, SIZE.height - SIZE.bottom];
    frame.replaceChildren(
      svg("rect", { x: SIZE.left, y: SIZE.top, width: right - SIZE.left, height: bottom - SIZE.top, rx: 8 }),
      svg("text", { x: SIZE.left, y: bottom + 16 }, figure(shown.x.feature.minimum)),
      svg("text", { x: right, y: bottom + 16, "text-anchor": "end" }, figure(shown.x.feature.maximum)),
      svg("text", { x: (SIZE.left + right) / 2, y: bottom + 34, "text-anchor": "middle", class: "name" }, short(shown.x.name)),
      svg("text", { x: SIZE.left - 6, y: bottom, "text-anchor": "end" }, figure(shown.y.feature.minimum)),
      svg("text", { x: SIZE.left - 6, y: SIZE.top + 10, "text-anchor": "end" }, figure(shown.y.feature.maximum)),
      svg("text", { transform: `translate(12 ${(SIZE.top + bottom) / 2}) rotate(-90)`, "text-anchor": "middle", class: "name" }, short(shown.y.name)));
    marks.forEach((mark, place) => {
      const row = sample.rows[place];
      mark.setAttribute("visibility", isShown(row) ? "visible" : "hidden");
      if (isShown(row)) mark.setAttribute("transform", `translate(${placeOf(row).map((each) => each.toFixed(1)).join(" ")})`);
    });
    if (last) drawRow(last.instance, last.label);
  }
  const short = (name) => (name.length > 34 ? `${name.slice(0, 33)}…` : name);

  function drawRow(instance, label) {
    last = { instance, label };
    const near = nearestOf(sample, instance, Math.min(info.k || 5, MAX_LINES));
    const [left, top] = [x().at(instance[shown.x.name] ?? shown.x.feature.minimum), y().at(instance[shown.y.name] ?? shown.y.feature.minimum)];
    you.setAttribute("transform", `translate(${left} ${top})`);
    const visible = near.filter(({ place }) => isShown(sample.rows[place]));
    lines.replaceChildren(...visible.map(({ place }) => {
      const [x2, y2] = placeOf(sample.rows[place]);
      return svg("line", { x1: left, y1: top, x2, y2 });
    }));
    rings.replaceChildren(...visible.map(({ place }) => {
      const [cx, cy] = placeOf(sample.rows[place]);
      return svg("circle", { cx, cy, r: 8, class: `c${styleOf(sample.classes[place])}` });
    }));
    points.setAttribute("class", few || !label ? "" : "one");
    if (!few) marks.forEach((mark, place) => mark.classList.toggle("same", sample.classes[place] === label));
    const counts = [...grouped(near, ({ place }) => sample.classes[place])].map(([name, of]) => `${of.length} ${name}`);
    const told = `The ${near.length} nearest ${near.length === 1 ? "row" : "rows"} of ${sample.rows.length.toLocaleString()} training rows: ${counts.join(", ")}.`;
    about.textContent = told;
    plot.setAttribute("aria-label", `Training rows by ${shown.x.name} and ${shown.y.name}, and yours among them. ${told}`);
  }

  const drag = (event) => {
    const box = plot.getBoundingClientRect();
    const [left, top] = [((event.clientX - box.left) / box.width) * SIZE.width, ((event.clientY - box.top) / box.height) * SIZE.height];
    moved({ [shown.x.name]: x().back(left), [shown.y.name]: y().back(top) });
  };
  // A mouse may take the point to where it is pressed; a finger that isn't on it scrolls the page.
  plot.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" && !you.contains(event.target)) return;
    plot.setPointerCapture(event.pointerId);
    plot.classList.add("dragged");
    drag(event);
  });
  plot.addEventListener("pointermove", (event) => { if (plot.hasPointerCapture(event.pointerId)) drag(event); });
  plot.addEventListener("lostpointercapture", () => plot.classList.remove("dragged"));

  const about = h("p", { class: "dim small" });
  const choose = (axis, label) => {
    const select = h("select", { "aria-label": label, onchange: () => { shown[axis] = axes[select.selectedIndex]; drawAll(); } },
      axes.map(({ name }) => h("option", {}, name)));
    select.selectedIndex = axes.indexOf(shown[axis]);
    return select;
  };
  const legend = few ? h("ul", { class: "legend" }, classes.map((name, place) => h("li", {},
    svg("svg", { class: "plot", viewBox: "-7 -7 14 14", width: 14, height: 14, "aria-hidden": "true" }, svg("path", { class: `c${place}`, d: SHAPES[place] })), h("span", {}, name)))) : null;
  drawAll();
  return { drawRow, element: h("figure", { class: "where" }, h("h3", {}, "Among the training rows"), about, plot,
    legend, h("div", { class: "axes" }, choose("x", "Across"), choose("y", "Up"))) };
}
