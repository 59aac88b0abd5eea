// The cabinet's behaviour, attached by data-* attributes. Every page works without it, except for
// copying, charts and the playground.
"use strict";

document.documentElement.classList.add("js");

// One listener for each kind of event; what htmx brings later is heard too.
function on(event, selector, deed) {
  document.addEventListener(event, (happened) => {
    const element = happened.target.closest?.(selector);
    if (element) deed(element, happened);
  });
}

// Copying: data-copy="#id" copies that element's text ------------------------------------------

async function copy(button) {
  const source = document.querySelector(button.dataset.copy);
  const label = button.querySelector("[data-label]") ?? button;
  button.dataset.word ??= label.textContent;
  try {
    await navigator.clipboard.writeText(source.textContent.trim());
    label.textContent = button.dataset.copied;
  } catch {
    // Over plain http there is no clipboard: the text is selected for Ctrl+C.
    getSelection().selectAllChildren(source);
    label.textContent = button.dataset.selected;
  }
  button.closest("[data-uncopied]")?.removeAttribute("data-uncopied");
  setTimeout(() => (label.textContent = button.dataset.word), 2500);
}
on("click", "[data-copy]", copy);

// Dialogs: a link with data-dialog opens its page in one ----------------------------------------

const dialog = document.getElementById("dialog");

document.addEventListener("htmx:after:swap", () => {
  if (dialog && !dialog.open && dialog.querySelector("[data-dialog-content]")) {
    dialog.showModal();
    dialog.querySelector("[autofocus]")?.focus();
  }
});
function closeDialog() {
  const uncopied = dialog.querySelector("[data-uncopied]");
  // A secret that nobody has copied is asked about once.
  if (uncopied && !uncopied.dataset.asked) {
    uncopied.dataset.asked = "yes";
    uncopied.querySelector("[data-ask]").hidden = false;
    return;
  }
  dialog.close();
}
on("click", "[data-close]", (_element, click) => {
  if (!dialog?.open) return;
  click.preventDefault();
  closeDialog();
});
dialog?.addEventListener("cancel", (cancel) => {
  cancel.preventDefault();
  closeDialog();
});
dialog?.addEventListener("mousedown", (press) => {
  if (press.target === dialog) closeDialog();
});
dialog?.addEventListener("close", () => dialog.querySelector("#dialog-content").replaceChildren());

// Passwords: shown while the button is pressed down ---------------------------------------------

on("click", "[data-reveal]", (button) => {
  const input = document.querySelector(button.dataset.reveal);
  const hidden = input.type === "password";
  input.type = hidden ? "text" : "password";
  button.setAttribute("aria-pressed", String(hidden));
});

// Forms that are sent when something in them is chosen ------------------------------------------

on("change", "form[data-send-on-change]", (form) => form.requestSubmit());

// The browser's time zone, for whoever signs up --------------------------------------------------

for (const field of document.querySelectorAll("input[data-zone]")) {
  field.value = Intl.DateTimeFormat().resolvedOptions().timeZone ?? "";
}

// Tabs: one choice for all blocks of code, remembered --------------------------------------------

function choose(name) {
  for (const tab of document.querySelectorAll(`[role="tab"][data-tab]`)) {
    const list = tab.closest(".tabs");
    if (!list.querySelector(`[data-tab="${CSS.escape(name)}"]`)) continue;
    const chosen = tab.dataset.tab === name;
    tab.setAttribute("aria-selected", String(chosen));
    tab.tabIndex = chosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = !chosen;
  }
}
function setUpTabs() {
  for (const tabs of document.querySelectorAll(".tabs:not([data-ready])")) {
    tabs.dataset.ready = "yes";
    tabs.querySelector('[role="tablist"]').hidden = false;
    const first = tabs.querySelector("[data-tab]").dataset.tab;
    choose(localStorage.getItem("tab") ?? first);
    if (!tabs.querySelector('[aria-selected="true"]')) choose(first);
  }
}
on("click", "[role=tab][data-tab]", (tab) => {
  localStorage.setItem("tab", tab.dataset.tab);
  choose(tab.dataset.tab);
});
on("keydown", "[role=tab]", (tab, press) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[press.key];
  if (!step) return;
  const all = [...tab.parentElement.querySelectorAll("[role=tab]")];
  const next = all[(all.indexOf(tab) + step + all.length) % all.length];
  next.focus();
  next.click();
});
setUpTabs();
document.addEventListener("htmx:after:swap", setUpTabs);

// Answers that are written while they are read: pieces of text as they come. Not every browser can
// walk through a stream by itself.

async function* pieces(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

// Toasts leave after eight seconds, unless somebody is reading them --------------------------------

const TOAST_MS = 8000;

function watchToast(toast) {
  let timer;
  const wait = () => (timer = setTimeout(() => toast.remove(), TOAST_MS));
  for (const event of ["mouseenter", "focusin"]) toast.addEventListener(event, () => clearTimeout(timer));
  for (const event of ["mouseleave", "focusout"]) toast.addEventListener(event, wait);
  wait();
}
function watchToasts() {
  for (const toast of document.querySelectorAll(".toast:not([data-watched])")) {
    toast.dataset.watched = "yes";
    watchToast(toast);
  }
}
on("click", ".toast [data-dismiss]", (button) => button.closest(".toast").remove());
watchToasts();
document.addEventListener("htmx:after:swap", watchToasts);
document.addEventListener("htmx:error", () => {
  const template = document.getElementById("offline");
  if (!template || navigator.onLine) return;
  document.getElementById("toaster").append(template.content.cloneNode(true));
  watchToasts();
});

// Ctrl+K opens a window to go somewhere from anywhere; the arrows walk through what it found. The
// key is told by its place: on a Russian keyboard it writes another letter --------------------------

document.addEventListener("keydown", (press) => {
  const wanted = (press.ctrlKey || press.metaKey) && !press.altKey && !press.shiftKey && press.code === "KeyK";
  const link = document.querySelector("[data-seek]");
  if (!wanted || !link || dialog?.open) return;
  press.preventDefault();
  link.click();
});
on("keydown", "[data-seeking]", (place, press) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[press.key];
  if (!step) return;
  press.preventDefault();
  const stops = [place.querySelector("input"), ...place.querySelectorAll(".found a")];
  const at = stops.indexOf(document.activeElement);
  stops[(at + step + stops.length) % stops.length].focus();
});

// Live or test stays chosen from page to page, also where only a piece of this one has changed -----

on("click", "a[data-by-mode]", (link) => {
  const there = new URL(link.href);
  const mode = new URLSearchParams(location.search).get("mode");
  if (mode) there.searchParams.set("mode", mode);
  else there.searchParams.delete("mode");
  link.href = there;
});

// Keys: g and a letter go somewhere, / searches ---------------------------------------------------

let leader = 0;
document.addEventListener("keydown", (press) => {
  if (press.ctrlKey || press.metaKey || press.altKey || dialog?.open) return;
  if (press.target.closest?.("input, select, textarea, [contenteditable]")) return;
  if (press.key === "/") {
    const search = document.querySelector('input[type="search"]');
    if (search) {
      press.preventDefault();
      search.focus();
    }
  } else if (press.key === "g") {
    leader = Date.now();
  } else if (Date.now() - leader < 1200) {
    leader = 0;
    document.querySelector(`a[data-go="${CSS.escape(press.key)}"]`)?.click();
  }
});
