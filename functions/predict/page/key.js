// The key.
function showKeyForm(why) {
  remember(null);
  const input = h("input", { id: "key", type: "password", autocomplete: "off", spellcheck: "false",
    required: true, "aria-describedby": "key-help" });
  const said = h("div", { role: "alert" }, why && h("p", { class: "notice wrong" }, why));
  const submit = async (event) => {
    event.preventDefault();
    const key = input.value.trim();
    if (!key) return;
    // A header holds nothing else, and no key has it.
    if (/[^\x21-\x7e]/.test(key)) {
      said.replaceChildren(h("p", { class: "notice wrong" }, "A key has only letters, digits and signs, no spaces. Copy it again."));
      return;
    }
    try {
      await ask("datasets", { key });
      remember(key);
      route();
    } catch (problem) {
      if (problem.name === "AbortError") return;
      said.replaceChildren(isAboutKey(problem)
        ? h("p", { class: "notice wrong" }, "This key is not accepted. Check that you copied all of it.")
        : notice(problem));
      input.select();
    }
  };
  show("API key", h("section", { class: "card narrow stack" },
    h("h1", {}, "Your API key"),
    h("p", { class: "dim" }, "This page shows the live models and lets you try them. It asks the API for everything, so it needs a key. The key stays in this tab and is forgotten when you close it."),
    said,
    h("form", { class: "stack", onsubmit: submit },
      h("div", {}, h("label", { for: "key" }, h("strong", {}, "API key")), input),
      h("button", {}, "Continue")),
    h("details", { id: "key-help" }, h("summary", {}, "Where do I get one?"),
      h("div", { class: "stack small" },
        h("p", {}, "On your laptop:"), h("pre", {}, ".venv/bin/knn key"),
        h("p", {}, "On AWS, with ID being the stack's output ", h("code", {}, "ApiKeyId"), ":"),
        h("pre", {}, "aws apigateway get-api-key --api-key ID --include-value --query value --output text"),
        h("p", { class: "dim" }, "Or ask whoever deployed the stack.")))));
  input.focus({ preventScroll: true });
}
