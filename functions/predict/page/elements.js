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

// Elements.
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

// Words.
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

function grouped(items, keyOf) {
  const groups = new Map();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) || []), item]);
  return groups;
}
