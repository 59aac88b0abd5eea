// "Run": an example of the documentation, called here in test mode, with its answer below it.
"use strict";

function pretty(text, type) {
  if (!type.startsWith("application/json")) return text;
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

// The cost of a whole answer is in a header, that of a stream in its last event but one.
function costOf(response, text) {
  const inHeader = response.headers.get("x-request-cost");
  if (inHeader !== null) return inHeader;
  return /"cost":([\d.]+)/.exec(text)?.[1] ?? "";
}

async function run(form) {
  const result = form.nextElementSibling;
  const part = (name) => result.querySelector(`[data-${name}]`);
  const button = form.querySelector("button");
  button.setAttribute("aria-busy", "true");
  const began = performance.now();
  try {
    const response = await fetch(form.action, { method: "POST" });
    const type = response.headers.get("content-type") ?? "";
    result.hidden = false;
    part("status").textContent = response.status;
    part("status").dataset.good = String(response.ok);
    part("request").textContent = response.headers.get("x-request-id") ?? "";
    let text = "";
    for await (const piece of pieces(response)) {
      text += piece;
      part("body").textContent = text;
    }
    part("body").textContent = pretty(text, type);
    part("took").textContent = `${Math.round(performance.now() - began)} ms`;
    part("cost").textContent = costOf(response, text);
  } catch {
    document.getElementById("toaster").append(document.getElementById("offline").content.cloneNode(true));
  } finally {
    button.removeAttribute("aria-busy");
  }
}

document.addEventListener("submit", (submit) => {
  if (!submit.target.matches("[data-run]")) return;
  submit.preventDefault();
  run(submit.target);
});

// The contents are open where there is room beside the text.
for (const contents of document.querySelectorAll("[data-narrow-closed]")) {
  contents.open = matchMedia("(min-width: 1024px)").matches;
}
