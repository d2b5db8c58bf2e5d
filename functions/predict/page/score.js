// Score a file: a prediction for each of its rows.
const BATCH_ENDED = new Set(["Scored", "Refused", "Failed"]);

function scoreSection(info, dataset) {
  const body = h("div", { class: "stack" });
  const begin = (why) => body.replaceChildren(
    dropArea((file) => {
      if (!isTable(file)) return begin(`“${file.name}” is no CSV file. Its name has to end with .csv or .csv.gz.`);
      return score(body, file, dataset, begin);
    }, { title: "Choose a CSV file to score", hint: `Columns as in the training file, with or without ${info.label}.` }),
    why ? h("div", { role: "alert" }, h("p", { class: "notice wrong" }, why)) : "");
  begin();
  return h("section", { class: "card wide", "aria-labelledby": "score" }, h("h2", { id: "score" }, "Score a file"),
    h("p", { class: "dim" }, "You get it back with a prediction for each row."), body);
}

async function score(body, file, dataset, begin) {
  const signal = view.signal;
  const path = `datasets/${encodeURIComponent(dataset)}/batches`;
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Progress of ${file.name}` });
  const what = h("p", { role: "status" }, `Uploading ${file.name}…`);
  body.replaceChildren(what, bar);
  const again = h("button", { type: "button", class: "quiet", onclick: () => begin() }, "Another file");
  try {
    const { batch, upload } = await ask(path, { body: JSON.stringify({ name: file.name }) });
    await put(upload, file, (share) => { bar.value = share; }, signal);
    bar.removeAttribute("value");
    what.textContent = "Uploaded. It is scored in a moment…";
    let now;
    do {
      await pause(1.5, signal);
      now = await ask(`${path}/${encodeURIComponent(batch)}`);
      if (now.rows) {
        bar.value = (now.scored || 0) / now.rows;
        what.textContent = `${(now.scored || 0).toLocaleString()} of ${now.rows.toLocaleString()} rows…`;
      }
    } while (!BATCH_ENDED.has(now.status));
    body.replaceChildren(...scored(file, now));
    (body.querySelector(".row") || body).append(again);
    announce(body.querySelector("h3").textContent);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (isAboutKey(problem)) {
      showKeyForm("This key is no longer accepted.");
      return;
    }
    body.replaceChildren(notice(problem), again);
  }
}

function scored(file, { status, scored: count = 0, set_aside: aside = 0, predicted = {}, result, rejects, error = {} }) {
  if (status !== "Scored") {
    return [h("h3", {}, `${file.name} was not scored`), h("div", { class: "notice wrong" },
      h("strong", {}, `Why: ${words(error.code)}`), error.remedy && h("pre", {}, error.remedy))];
  }
  const counts = Object.entries(predicted).sort(([, one], [, other]) => other - one).slice(0, 6);
  return [h("h3", {}, `${count.toLocaleString()} rows of ${file.name} are scored`),
    counts.length ? h("ul", { class: "bars" }, counts.map(([name, of]) => {
      const bar = h("i");
      bar.style.width = `${(of / count) * 100}%`;
      return h("li", {}, h("span", { class: "name", title: name }, name), h("span", { class: "bar", "aria-hidden": "true" }, bar), h("span", { class: "share" }, of.toLocaleString()));
    })) : "",
    aside ? h("p", {}, `${aside.toLocaleString()} rows could not be scored and were set aside.`) : "",
    h("div", { class: "row" },
      h("a", { class: "button", href: result, rel: "noreferrer" }, "Download the result"),
      aside && rejects ? h("a", { class: "button quiet", href: rejects, rel: "noreferrer" }, "Download what was set aside") : null)];
}
