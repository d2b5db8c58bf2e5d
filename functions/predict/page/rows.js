// Held-out rows: those of a cell of the confusion matrix, and those to try.
const SHOWN_COLUMNS = 30;

function heldOutRows(dataset, run, query = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined));
  return ask(`datasets/${encodeURIComponent(dataset)}/runs/${encodeURIComponent(run)}/held-out?${asked}`);
}

// Row by row, through all pages; in a large file a page may be empty.
async function* heldOutOneByOne(dataset, run, query) {
  let next;
  do {
    const page = await heldOutRows(dataset, run, { ...query, next });
    yield* page.rows;
    next = page.next;
  } while (next);
}

// A table that grows page by page.
function rowsTable({ dataset, run, label, query, caption, tryRow }) {
  const head = h("tr");
  const body = h("tbody");
  const table = h("table", { hidden: true }, h("caption", {}, caption), h("thead", {}, head), body);
  const said = h("div", { role: "status" }, h("p", { class: "dim" }, "Loading the rows…"));
  const more = h("button", { type: "button", class: "quiet small", hidden: true, onclick: () => load() }, "More rows");
  let next;
  async function load() {
    more.disabled = true;
    try {
      const page = await heldOutRows(dataset, run, { ...query, next });
      next = page.next;
      draw(page.rows);
      said.replaceChildren(body.children.length || next ? "" : h("p", { class: "dim" }, "There are no such rows."));
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (isAboutKey(problem)) {
        showKeyForm("This key is no longer accepted.");
        return;
      }
      said.replaceChildren(notice(problem));
    }
    more.disabled = false;
    more.hidden = !next;
  }
  function draw(rows) {
    if (!rows.length) return;
    const names = Object.keys(rows[0].row);
    // What was predicted, and what is right, come first: the rest may need scrolling.
    const columns = [label, ...names.filter((name) => name !== label)].slice(0, SHOWN_COLUMNS);
    if (!head.hasChildNodes()) {
      head.append(h("th", { scope: "col" }, h("span", { class: "unseen" }, "Try it")),
        ...[...columns, ...(names.length > columns.length ? ["…"] : []), "Vote"].map((name) => h("th", { scope: "col" }, name)));
      table.hidden = false;
    }
    body.append(...rows.map((each) => h("tr", {},
      h("td", {}, h("button", { type: "button", class: "quiet small", onclick: () => tryRow(each) }, "Try")),
      h("th", { scope: "row" }, each.row[label]),
      columns.slice(1).map((name) => h("td", {}, each.row[name])),
      names.length > columns.length ? h("td", {}, "…") : null,
      h("td", {}, percent(each.confidence)))));
  }
  load();
  return h("div", { class: "rows stack" }, said,
    h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": caption }, table), more);
}
