// The form of a row: a field for each feature, made from what is known of it.
const TRUE_WORDS = new Set(["1", "true", "t", "yes", "y"]);
const isTrue = (value) => TRUE_WORDS.has(String(value).trim().toLowerCase());

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
  if (hasRange(feature)) {
    const middle = (feature.minimum + feature.maximum) / 2;
    return Number.isInteger(feature.minimum) && Number.isInteger(feature.maximum) ? Math.round(middle) : Number(middle.toPrecision(3));
  }
  return 0;
}

const hasRange = ({ minimum, maximum }) => isNumber(minimum) && isNumber(maximum) && minimum < maximum;

function stepOf({ minimum, maximum }, start) {
  if ([minimum, maximum].every(Number.isInteger) && (start === null || Number.isInteger(start))) return 1;
  return 10 ** Math.floor(Math.log10((maximum - minimum) / 50 || 1));
}

// Rounded here and not by the slider, whose steps would begin at the minimum.
const rounded = (value, { minimum, maximum }, step) =>
  Number(Math.min(maximum, Math.max(minimum, Math.round(value / step) * step)).toPrecision(10));

let fieldCount = 0;
function field(feature, start, changed) {
  fieldCount += 1;
  const id = `field-${fieldCount}`;
  const kind = { boolean: booleanField, category: feature.categories?.length ? categoryField : textField }[feature.role] || numberField;
  const made = kind(feature, start, changed, id);
  const hint = h("div", { class: "hint" }, made.hint);
  if (feature.nullable && made.inputs) addMissing(made, feature, changed, hint);
  const control = h("div", { class: made.slider ? "control" : "control alone" }, made.slider, made.control);
  made.set(start);
  return { ...made, feature, name: feature.name,
    element: h("div", { class: "field" }, h("label", { for: id }, feature.name), control, hint.hasChildNodes() ? hint : null) };
}

// A number or a text has no value of its own for what is missing.
function addMissing(made, { name }, changed, hint) {
  const missing = h("input", { type: "checkbox", "aria-label": `${name} is missing`, onchange: () => { turn(); changed(); } });
  const { value, set } = made;
  const turn = () => made.inputs.forEach((input) => { input.disabled = missing.checked; });
  made.value = () => (missing.checked ? null : value());
  made.set = (given) => {
    missing.checked = given === null;
    if (given !== null) set(given);
    turn();
  };
  hint.append(h("label", {}, missing, "missing"));
}

function booleanField({ nullable }, start, changed, id) {
  if (nullable) {
    const select = h("select", { id, onchange: changed }, [["true", "true"], ["false", "false"], ["", "missing"]].map(([of, text]) => h("option", { value: of }, text)));
    return { control: select, value: () => (select.value === "" ? null : select.value === "true"),
      set: (given) => { select.value = given === null ? "" : String(isTrue(given)); } };
  }
  const box = h("input", { id, type: "checkbox", onchange: changed });
  return { control: h("span", { class: "switch" }, box, h("span", { class: "dim" }, "true")), value: () => box.checked,
    set: (given) => { box.checked = isTrue(given); } };
}

function categoryField({ categories, nullable }, start, changed, id) {
  const known = categories.filter((each) => each !== null && each !== "").map(String);
  const option = (name) => h("option", { value: name }, name);
  const missing = nullable ? h("option", { value: "" }, "missing") : null;
  const select = h("select", { id, onchange: changed }, known.map(option), missing);
  return { control: select, value: () => (missing?.selected ? null : select.value),
    set: (given) => {
      const text = given === null ? "" : String(given);
      if (text !== "" && ![...select.options].some((each) => each.value === text)) select.prepend(option(text));
      select.value = text;
    } };
}

function textField(feature, start, changed, id) {
  const text = h("input", { id, type: "text", oninput: changed });
  return { control: text, inputs: [text], value: () => text.value, set: (given) => { text.value = given ?? ""; } };
}

function numberField(feature, start, changed, id) {
  const has = hasRange(feature);
  const step = has ? stepOf(feature, start) : null;
  const box = h("input", { id, type: "number", step: "any", inputmode: "decimal", oninput: () => { show(); changed(); } });
  const slider = has ? h("input", { type: "range", min: feature.minimum, max: feature.maximum, step: "any", "aria-label": feature.name }) : null;
  const trained = has && `${exact(feature.minimum)} to ${exact(feature.maximum)}`;
  const hint = h("span", {}, trained || "");
  const show = () => {
    const number = box.valueAsNumber;
    if (slider && isNumber(number)) slider.value = number;
    const isOutside = has && (number < feature.minimum || number > feature.maximum);
    hint.className = isOutside ? "outside" : "";
    hint.textContent = isOutside ? `outside of ${trained}` : trained || "";
  };
  const take = () => {
    box.value = rounded(slider.value, feature, step);
    show();
    changed();
  };
  slider?.addEventListener("input", take);
  slider?.addEventListener("keydown", (event) => {
    const by = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!by) return;
    event.preventDefault();
    slider.value = Number(slider.value) + by * step;
    take();
  });
  return { control: box, slider, inputs: slider ? [box, slider] : [box], hint, step,
    value: () => (isNumber(box.valueAsNumber) ? box.valueAsNumber : feature.nullable ? null : undefined),
    set: (given) => { box.value = given ?? ""; show(); } };
}
