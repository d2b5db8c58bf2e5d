// Upload a file: its name and columns are read here, its bytes go straight to the inbox.
const MAX_BYTES = 5 * 1024 ** 3; // of one PUT. Source: Amazon S3 user guide, "Uploading objects"
const READ_FOR_HEADER = 256 * 1024;
const ASKED_FOR_RUN = 200; // times, in five minutes; a run begins some seconds after its upload

const isTable = (file) => /\.csv(\.gz)?$/i.test(file.name);
const datasetOf = (name) => name.replace(/\.csv(\.gz)?$/i, "").toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 32).replace(/^-+|-+$/g, "");

// The names in a file's first line; none if it seems to have no names.
async function columnsOf(file) {
  let bytes = file.slice(0, READ_FOR_HEADER);
  if (/\.gz$/i.test(file.name)) {
    const reader = bytes.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
    bytes = new Blob([(await reader.read()).value || ""]);
    reader.cancel().catch(() => {});
  }
  const buffer = new Uint8Array(await bytes.arrayBuffer());
  const mark = (buffer[0] << 8) | buffer[1];
  const text = new TextDecoder(mark === 0xfffe ? "utf-16le" : mark === 0xfeff ? "utf-16be" : "utf-8").decode(buffer);
  const names = fieldsOf(text).map((name) => name.trim());
  const numbers = names.filter((name) => /^[+-]?[\d.,]+(e[+-]?\d+)?$/i.test(name));
  return numbers.length > names.length / 2 ? [] : names.filter(Boolean);
}

// The fields of the first record, by the separator that gives most of them.
function fieldsOf(text) {
  const split = (delimiter) => {
    const fields = [""];
    let isQuoted = false;
    let before = "";
    for (const sign of text) {
      if (!isQuoted && (sign === "\n" || sign === "\r")) break;
      if (sign === delimiter && !isQuoted) fields.push("");
      else if (sign !== '"' || (!isQuoted && before === '"')) fields.push(fields.pop() + sign);
      if (sign === '"') isQuoted = !isQuoted;
      before = sign;
    }
    return fields;
  };
  return [",", ";", "\t", "|"].map(split).sort((one, other) => other.length - one.length)[0];
}

const sizeOf = (bytes) => (bytes < 1e3 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(1)} GB`);

// PUT as a presigned URL wants it; XMLHttpRequest, as fetch doesn't tell how far it is. A problem has
// no status: those are the API's, whose 403 is about the key.
function put({ method, url, headers }, file, progressed, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, url);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) => progressed(total ? loaded / total : 0);
    request.onload = () => (request.status < 300 ? resolve(request.getResponseHeader("x-amz-version-id"))
      : reject(new Problem(null, "UploadFailed", `The inbox did not take the file (status ${request.status}). Try again.`, 0)));
    request.onerror = () => reject(new Problem(null, "UploadFailed", "The upload was interrupted. Check your connection.", 0));
    signal.addEventListener("abort", () => { request.abort(); reject(new DOMException("left", "AbortError")); });
    // A file without a type: what the browser takes it for is not signed.
    request.send(new Blob([file]));
  });
}

// A place that takes a file, chosen or dropped on it.
function dropArea(taken, { title = "Choose a CSV file", hint = "One column says what each row is. A first line with names helps." } = {}) {
  const input = h("input", { type: "file", id: "file", class: "unseen", accept: ".csv,.gz,text/csv", onchange: () => { if (input.files.length) taken(input.files[0]); } });
  const dropped = (event) => {
    const [file] = event.dataTransfer?.files || [];
    if (!file) return;
    event.preventDefault();
    event.stopPropagation();
    document.body.classList.remove("taking");
    taken(file);
  };
  return h("div", { class: "drop", ondrop: dropped }, input,
    h("label", { for: "file" }, icon("M12 16V5m0 0-4 4m4-4 4 4M4 16v2.5A1.5 1.5 0 0 0 5.5 20h13a1.5 1.5 0 0 0 1.5-1.5V16"),
      h("span", {}, h("strong", {}, title), " or drop it here"), h("span", { class: "dim small" }, hint)));
}
const icon = (path) => svg("svg", { class: "icon", viewBox: "0 0 24 24", width: 28, height: 28, "aria-hidden": "true" }, svg("path", { d: path }));

let waitingFile = null;
function showUpload(dataset = "") {
  const file = waitingFile;
  waitingFile = null;
  const back = h("p", { class: "small" }, h("a", { href: dataset ? `#/${dataset}` : "#/" }, dataset ? `← ${dataset}` : "← All models"));
  const card = h("section", { class: "card stack", "aria-labelledby": "upload" });
  show("Upload a file", h("div", { class: "upload stack" }, back, h("h1", { id: "upload" }, dataset ? `The next file of ${dataset}` : "Upload a file"), card));
  const choose = (why) => card.replaceChildren(dropArea((chosen) => describe(chosen)), h("div", { role: "alert" }, why && h("p", { class: "notice wrong" }, why)));
  const describe = (chosen) => {
    if (!isTable(chosen)) return choose(`“${chosen.name}” is no CSV file. Its name has to end with .csv or .csv.gz.`);
    if (chosen.size > MAX_BYTES) return choose(`“${chosen.name}” has ${sizeOf(chosen.size)}: a browser can upload 5 GB. Upload it with the command line: aws s3 cp`);
    if (!chosen.size) return choose(`“${chosen.name}” is empty.`);
    return uploadForm(card, chosen, dataset, () => choose());
  };
  if (file) describe(file);
  else choose();
}

async function uploadForm(card, file, dataset, another) {
  const [columns, listed] = await Promise.all([columnsOf(file).catch(() => []), askIfThere("datasets")]);
  const live = new Set((listed?.datasets || []).map((each) => each.dataset));
  const name = h("input", { id: "dataset", type: "text", required: true, maxlength: 32, spellcheck: "false", autocapitalize: "none", autocomplete: "off",
    pattern: "[a-z0-9](?:[a-z0-9\\-]{0,30}[a-z0-9])?", "aria-describedby": "dataset-hint", oninput: () => hint() });
  name.value = dataset || datasetOf(file.name) || "data";
  const about = h("p", { id: "dataset-hint", class: "dim small" });
  const hint = () => {
    about.textContent = !name.validity.valid ? "Use 1 to 32 of a-z and 0-9, with hyphens between them."
      : live.has(name.value) ? `“${name.value}” has a live model. A better one replaces it; a worse one is held back.` : "A new dataset: its first good model goes live.";
  };
  const label = h("select", { id: "label" }, h("option", { value: "" }, "Find it for me"), columns.map((column) => h("option", { value: column }, column)));
  const ignored = h("div", { class: "checks" }, columns.map((column) => h("label", {}, h("input", { type: "checkbox", value: column }), h("span", {}, column))));
  const promote = h("input", { id: "promote", type: "checkbox" });
  promote.checked = true;
  const said = h("div", { role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    const settings = {
      ...(label.value ? { label: label.value } : {}),
      ...(promote.checked ? {} : { promote: false }),
    };
    const ignore = [...ignored.querySelectorAll(":checked")].map((box) => box.value).filter((column) => column !== label.value);
    if (ignore.length) settings.ignore = ignore;
    try {
      const { upload } = await ask(`datasets/${encodeURIComponent(name.value)}/uploads`, { body: JSON.stringify({ name: file.name, ...settings }) });
      await uploadAndFollow(card, file, name.value, upload, another);
    } catch (problem) {
      if (problem.name === "AbortError") return;
      if (isAboutKey(problem)) { showKeyForm("This key is no longer accepted."); return; }
      // Whoever tries again gets another URL: this one expires.
      card.replaceChildren(...form);
      said.replaceChildren(notice(problem));
    }
  };
  const form = [
    h("div", { class: "row apart" }, h("div", {}, h("strong", {}, file.name), h("div", { class: "dim small" }, sizeOf(file.size), columns.length ? ` · ${columns.length} columns` : " · no names in its first line")),
      h("button", { type: "button", class: "quiet small", onclick: another }, "Another file")),
    h("form", { class: "stack", onsubmit: submit },
      h("div", {}, h("label", { for: "dataset" }, h("strong", {}, "Dataset")), name, about),
      h("div", {}, h("label", { for: "label" }, h("strong", {}, "Column to predict")), label),
      columns.length > 1 ? h("details", {}, h("summary", {}, "Leave columns out"), ignored) : null,
      h("label", { class: "switch" }, promote, h("span", {}, "Let the model go live if it is good enough")),
      said, h("button", {}, "Upload"))];
  card.replaceChildren(...form);
  hint();
  name.focus({ preventScroll: true });
}

async function uploadAndFollow(card, file, dataset, upload, another) {
  const signal = view.signal;
  const bar = h("progress", { max: 1, value: 0, "aria-label": `Upload of ${file.name}` });
  const what = h("p", { role: "status" }, `Uploading ${file.name}…`);
  const stages = h("ol", { class: "stages", "aria-label": "Stages" });
  card.replaceChildren(h("h2", {}, file.name), what, bar, stages);
  const version = await put(upload, file, (share) => { bar.value = share; }, signal);
  bar.remove();
  what.textContent = "Uploaded. Its run begins in a moment; you may leave this page.";
  const path = `datasets/${encodeURIComponent(dataset)}/runs`;
  const isIt = (run) => (version ? run.version === version : run.file === file.name && !ENDED.has(run.status));
  let run = null;
  for (let asked = 0; !run && asked < ASKED_FOR_RUN; asked += 1) {
    run = (await askIfThere(path))?.runs.find(isIt);
    if (!run) await pause(1.5, signal);
  }
  if (!run) {
    card.replaceChildren(h("h2", {}, file.name), h("div", { class: "notice", role: "alert" }, h("strong", {}, "Uploaded, but no run of it is seen yet."),
      h("p", {}, "Look at ", h("a", { href: `#/${dataset}` }, `the runs of ${dataset}`), " in some minutes. If it is not there by then, ask who runs this API to look at its alarms.")),
      h("button", { type: "button", class: "quiet", onclick: another }, "Another file"));
    return;
  }
  drawStages(stages, { preprocess: false, split: false, train: false, deploy: false, validate: false, promote: false, report: false });
  // The verdict is in the report, which comes last; but nobody waits for it for ever.
  for (let waited = 0; !run.stages?.report && waited < 20; ) {
    await pause(1.5, signal);
    run = (await askIfThere(`${path}/${encodeURIComponent(run.run)}`)) || run;
    if (ENDED.has(run.status)) waited += 1;
    else if (run.stages) {
      drawStages(stages, run.stages);
      const current = Object.keys(run.stages).find((stage) => !run.stages[stage]);
      what.textContent = `${STAGE_WORDS[current] || "Almost done"}…`;
    }
  }
  showOutcome(card, file, dataset, run, another);
}

const STAGE_WORDS = { preprocess: "Checking the rows and columns", split: "Choosing the distance and how many neighbours vote", train: "Training",
  deploy: "Deploying the model", validate: "Trying it on rows that it has not seen", promote: "Going live", report: "Writing the report" };

const OUTCOMES = {
  Live: ["is live", "good"], Held: ["is held: it did not go live", ""], Superseded: ["was overtaken by a newer file", ""],
  Refused: ["was refused", "bad"], Failed: ["failed", "bad"], Retired: ["has been replaced", ""],
};

function showOutcome(card, file, dataset, run, another) {
  const [what, kind] = OUTCOMES[run.status] || [run.status, ""];
  const isLive = run.status === "Live";
  const heading = h("h2", { tabindex: -1 }, isLive ? `${dataset} is live` : `${file.name} ${what}`);
  const error = run.error || {};
  card.replaceChildren(
    h("div", { class: "row" }, heading, h("span", { class: `badge ${kind}` }, run.status.toLowerCase())),
    run.metrics ? h("p", {}, verdict(run.metrics)) : "",
    error.code ? h("div", { class: kind === "bad" ? "notice wrong" : "notice" }, h("strong", {}, `Why: ${words(error.code)}`), error.remedy && h("pre", {}, error.remedy)) : "",
    h("div", { class: "row" },
      isLive && h("a", { class: "button", href: `#/${dataset}` }, "Try it"),
      run.status === "Refused" && h("button", { type: "button", onclick: () => uploadForm(card, file, dataset, another) }, "Change the settings"),
      h("a", { class: "button quiet", href: `#/${dataset}/${run.run}` }, "Report"),
      h("button", { type: "button", class: "quiet", onclick: another }, isLive ? "Upload another file" : "Choose another file")));
  announce(heading.textContent);
  heading.focus();
}

// A file that is dropped anywhere on the page is taken.
addEventListener("dragover", (event) => {
  if (!storedKey || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  document.body.classList.add("taking");
});
addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("taking"); });
addEventListener("drop", (event) => {
  document.body.classList.remove("taking");
  const [file] = event.dataTransfer?.files || [];
  if (!storedKey || !file) return;
  event.preventDefault();
  waitingFile = file;
  const [, dataset] = location.hash.split("/");
  const address = dataset && dataset !== "+" ? `#/+/${dataset}` : location.hash.startsWith("#/+") ? location.hash : "#/+";
  if (location.hash === address) route();
  else location.hash = address;
});
