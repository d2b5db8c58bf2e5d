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
  return scoreCard(h("p", { class: "dim" }, "You get it back with a prediction for each row."), body);
}
const scoreCard = (...content) => h("section", { class: "card wide", "aria-labelledby": "score" }, h("h2", { id: "score" }, "Score a file"), content);

async function score(body, file, dataset, begin) {
  const signal = view.signal;
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Progress of ${file.name}` });
  const what = h("p", { role: "status" }, `Uploading ${file.name}…`);
  body.replaceChildren(what, bar);
  const again = h("button", { type: "button", class: "quiet", onclick: () => begin() }, "Another file");
  try {
    const { batch, upload } = await ask(batchesOf(dataset), { body: JSON.stringify({ name: file.name }) });
    await put(upload, file, (share) => { bar.value = share; }, signal);
    bar.removeAttribute("value");
    what.textContent = "Uploaded. It is scored in a moment…";
    await followBatch(body, what, dataset, batch, signal);
    (body.querySelector(".row") || body).append(again);
  } catch (problem) {
    if (problem.name === "AbortError") return;
    if (isAboutKey(problem)) {
      showKeyForm("This key is no longer accepted.");
      return;
    }
    body.replaceChildren(notice(problem), again);
  }
}

// A batch at its own address, which the email about it has.
async function showBatch(dataset, batch) {
  const signal = view.signal;
  const what = h("p", { class: "loading", role: "status" }, "Loading…");
  const body = h("div", { class: "stack" }, what);
  show("Score a file", h("p", { class: "small" }, h("a", { href: `#/${dataset}` }, `← ${dataset}`)),
    h("div", { class: "intro" }, h("h1", {}, dataset)), scoreCard(body));
  await followBatch(body, what, dataset, batch, signal);
}

const batchesOf = (dataset) => `datasets/${encodeURIComponent(dataset)}/batches`;

// Until it has ended. It goes on whatever the API answers, so only what no later answer mends, as that
// there is no such batch, ends this sooner.
async function followBatch(body, what, dataset, batch, signal) {
  for (;;) {
    let wait = 1.5;
    try {
      const now = await ask(`${batchesOf(dataset)}/${encodeURIComponent(batch)}`, { signal });
      if (BATCH_ENDED.has(now.status)) {
        body.replaceChildren(...scored(now));
        announce(body.querySelector("h3").textContent);
        return;
      }
      what.textContent = now.status === "Scoring" ? `Scoring ${now.file}…` : `${now.file} waits to be scored…`;
    } catch (problem) {
      const { name, status, seconds } = problem;
      if (name === "AbortError" || (status >= 400 && status < 500 && status !== 429)) throw problem;
      what.textContent = "The API does not answer at the moment. Asking again…";
      wait = seconds || 5;
    }
    await pause(wait, signal);
  }
}

function scored({ file, status, scored: count = 0, set_aside: aside = 0, predicted = {}, result, rejects, error = {} }) {
  if (status !== "Scored") {
    return [h("h3", {}, `${file} was not scored`), h("div", { class: "notice wrong" },
      h("strong", {}, `Why: ${words(error.code)}`), error.remedy && h("pre", {}, error.remedy))];
  }
  const counts = Object.entries(predicted).sort(([, one], [, other]) => other - one).slice(0, 6);
  return [h("h3", {}, count === 1 ? `1 row of ${file} is scored` : `${count.toLocaleString()} rows of ${file} are scored`),
    counts.length ? h("ul", { class: "bars" }, counts.map(([name, of]) => {
      const bar = h("i");
      bar.style.width = `${(of / count) * 100}%`;
      return h("li", {}, h("span", { class: "name", title: name }, name), h("span", { class: "bar", "aria-hidden": "true" }, bar), h("span", { class: "share" }, of.toLocaleString()));
    })) : "",
    aside ? h("p", {}, aside === 1 ? "1 row could not be scored and was set aside." : `${aside.toLocaleString()} rows could not be scored and were set aside.`) : "",
    h("div", { class: "row" },
      h("a", { class: "button", href: result, rel: "noreferrer" }, "Download the result"),
      aside && rejects ? h("a", { class: "button quiet", href: rejects, rel: "noreferrer" }, "Download what was set aside") : null)];
}
