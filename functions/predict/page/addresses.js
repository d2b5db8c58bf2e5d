// What is shown at which address.
function leave() {
  view.abort();
  view = new AbortController();
}

async function route() {
  leave();
  const mine = view;
  const address = location.hash;
  // Not when it opens: a reader begins at the top then anyway.
  if (lastAddress !== null && address !== lastAddress) {
    scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }
  lastAddress = address;
  if (!storedKey) {
    showKeyForm();
    return;
  }
  const [, dataset, run, batch] = address.split("/");
  try {
    if (dataset === "+") showUpload(run);
    else if (run === "batches" && batch) await showBatch(dataset, batch);
    else if (run) await showReport(dataset, run);
    else if (dataset) await showDataset(dataset);
    else await showDatasets();
  } catch (problem) {
    if (problem.name === "AbortError" || mine !== view) return;
    if (!(problem instanceof Problem)) throw problem;
    if (isAboutKey(problem)) showKeyForm("This key is not accepted. Check that you copied all of it.");
    else show("No answer", h("div", { class: "narrow stack" }, h("h1", {}, "No answer"), notice(problem, () => route())));
  }
}

addEventListener("hashchange", () => { if (location.hash !== "#main") route(); });
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
document.getElementById("forget").addEventListener("click", () => {
  leave();
  showKeyForm();
});
Object.assign(document.getElementById("docs"), { href: `${root}docs`, hidden: false });
remember(storedKey);
route();
