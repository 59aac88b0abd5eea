// The playground: a conversation, its stream, what it used and cost. Nothing of it is stored.
"use strict";

const place = document.querySelector("[data-playground]");
const words = JSON.parse(document.getElementById("playground-words").textContent);
const find = (selector, inside = place) => inside.querySelector(selector);
const [tuning, asking, list] = [find("#tuning"), find("[data-ask]"), find("[data-messages]")];
const fill = (text, facts) => text.replace(/\{(\w+)\}/g, (_, name) => facts[name]);
const number = new Intl.NumberFormat(place.dataset.language);
const seconds = new Intl.NumberFormat(place.dataset.language, { maximumSignificantDigits: 2 });
const money = new Intl.NumberFormat(place.dataset.language, {
  style: "currency", currency: place.dataset.currency, minimumFractionDigits: 2, maximumFractionDigits: 9,
});

let talk = []; // what was said, in the form in which it is sent
let running = null;

// What is sent ------------------------------------------------------------------------------------

const chosen = () => tuning.elements.model.selectedOptions[0];
const mode = () => tuning.elements.mode.value;
const amount = (name) => Number(tuning.elements[name].value.replace(",", "."));

function body(messages) {
  const system = tuning.elements.system.value.trim();
  const fields = {
    model: chosen().value,
    messages: [...(system ? [{ role: "system", content: system }] : []), ...messages],
    temperature: amount("temperature"),
    max_tokens: amount("max_tokens"),
  };
  return tuning.elements.stream.checked
    ? { ...fields, stream: true, stream_options: { include_usage: true } }
    : fields;
}

// The answer --------------------------------------------------------------------------------------

function add(template) {
  const made = document.getElementById(template).content.cloneNode(true).firstElementChild;
  list.append(made);
  return made;
}

async function* events(response) {
  let rest = "";
  for await (const piece of pieces(response)) {
    const lines = (rest + piece).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
    }
  }
}

async function* readings(response) {
  if (response.headers.get("content-type").startsWith("text/event-stream")) {
    yield* events(response);
    return;
  }
  const whole = await response.json();
  yield whole.error ? whole : { ...whole, choices: [{ ...whole.choices[0], delta: whole.choices[0].message }] };
}

function hear(chunk, answer) {
  if (chunk.error) throw Object.assign(new Error(chunk.error.message), { refusal: chunk.error });
  const [choice] = chunk.choices;
  answer.usage = chunk.usage ?? answer.usage;
  answer.ended = choice?.finish_reason ?? answer.ended;
  if (choice?.delta?.reasoning) {
    find("[data-thought]", answer.element).hidden = false;
    find("[data-reasoning]", answer.element).append(choice.delta.reasoning);
  }
  const said = choice?.delta?.content ?? choice?.delta?.refusal;
  if (said) {
    answer.firstAt ??= performance.now();
    answer.text += said;
    find("[data-text]", answer.element).append(said);
    follow();
  }
}

// The page goes along with the answer, unless the reader has gone up to read.
function follow() {
  const below = document.documentElement.scrollHeight - innerHeight - scrollY;
  if (below < 160) scrollTo({ top: document.documentElement.scrollHeight });
}

async function ask() {
  const answer = { element: add("answered"), text: "", beganAt: performance.now(), mode: mode() };
  const name = chosen().textContent;
  find("[data-model]", answer.element).textContent = answer.mode === "test" ? `${name} · ${words.test}` : name;
  begin(answer);
  try {
    const response = await fetch(`/app/playground/chat?mode=${answer.mode}&lang=${place.dataset.language}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body(talk)),
      signal: running.signal,
    });
    answer.request = response.headers.get("x-request-id") ?? "";
    for await (const chunk of readings(response)) hear(chunk, answer);
    talk.push({ role: "assistant", content: answer.text });
    tell(answer);
  } catch (error) {
    if (error.name === "AbortError") await stopped(answer);
    else fail(answer, error);
  } finally {
    finish(answer);
  }
}

function begin(answer) {
  running = new AbortController();
  find("[data-stop]").hidden = false;
  find("[data-send]").disabled = true;
  answer.element.scrollIntoView({ block: "nearest" });
}

function finish(answer) {
  running = null;
  find("[data-stop]").hidden = true;
  find("[data-send]").disabled = false;
  find("[data-text]", answer.element)?.removeAttribute("aria-busy");
  asking.elements.message.focus({ preventScroll: true });
  follow();
}

// What it used and cost ---------------------------------------------------------------------------

function tell(answer) {
  const { usage } = answer;
  const facts = [];
  const took = (performance.now() - answer.beganAt) / 1000;
  if (usage) {
    facts.push(fill(words.tokens, { in: number.format(usage.prompt_tokens), out: number.format(usage.completion_tokens) }));
    facts.push(answer.mode === "test" ? words.free : money.format(usage.cost));
    if (usage.estimated) facts.push(words.estimated);
  }
  if (answer.firstAt) facts.push(fill(words.first, { s: seconds.format((answer.firstAt - answer.beganAt) / 1000) }));
  facts.push(fill(words.took, { s: seconds.format(took) }));
  if (usage && took > 1) facts.push(fill(words.speed, { n: seconds.format(usage.completion_tokens / took) }));
  write(answer, facts);
  say(answer.text ? words.done : words.empty);
  if (answer.ended === "length") note(answer, words.cut);
  if (answer.mode === "live") refreshBalance();
}

function write(answer, facts) {
  const told = find("[data-told]", answer.element);
  told.hidden = false;
  told.replaceChildren(facts.join(" · "), " ", code(answer.request));
}

function code(text) {
  return Object.assign(document.createElement("code"), { textContent: text });
}

function note(answer, text) {
  const line = document.createElement("p");
  line.className = "quiet small";
  line.textContent = text;
  answer.element.append(line);
}

const say = (text) => (find("[data-status]").textContent = text);

function refreshBalance() {
  htmx.ajax("GET", "/app/playground", { target: ".bar .chip", select: ".bar .chip", swap: "outerHTML" });
}

// Stopped, or refused -----------------------------------------------------------------------------

const pause = (ms) => new Promise((resume) => setTimeout(resume, ms));

async function stopped(answer) {
  note(answer, words.stopped);
  say(words.stopped);
  talk.push({ role: "assistant", content: answer.text });
  if (!answer.text) talk.splice(-2);
  // The provider may still be writing: its own count comes with the end of the call.
  for (let wait = 500; answer.request && wait < 10_000; wait *= 2) {
    await pause(wait);
    const response = await fetch(`/app/playground/calls/${answer.request}`);
    if (!response.ok) continue;
    const card = await response.json();
    const usage = { prompt_tokens: card.prompt_tokens ?? 0, completion_tokens: card.completion_tokens ?? 0, cost: card.cost };
    const facts = [fill(words.tokens, { in: number.format(usage.prompt_tokens), out: number.format(usage.completion_tokens) })];
    write(answer, [...facts, answer.mode === "test" ? words.free : money.format(usage.cost)]);
    refreshBalance();
    return;
  }
}

function fail(answer, error) {
  const refusal = error.refusal ?? {};
  const shown = document.getElementById("failed").content.cloneNode(true).firstElementChild;
  find("[data-why]", shown).textContent = refusal.message ?? words.broken;
  find("[data-code]", shown).textContent = refusal.code ?? "";
  find("[data-request]", shown).textContent = refusal.request_id ?? answer.request ?? "";
  const pay = find("[data-pay]", shown);
  if (pay) pay.hidden = refusal.type !== "billing_error";
  find("[data-again]", shown).addEventListener("click", () => {
    answer.element.remove();
    ask();
  });
  answer.element.append(shown);
}

// What can be pressed -----------------------------------------------------------------------------

function send(text) {
  if (running || !text.trim()) return;
  find("[data-beginning]")?.setAttribute("hidden", "");
  // What was asked and never answered is not asked twice.
  if (talk.at(-1)?.role === "user") talk.pop();
  talk.push({ role: "user", content: text });
  find("[data-text]", add("asked")).textContent = text;
  asking.reset();
  ask();
}

function showChoice() {
  find("[data-hint]").textContent = chosen().dataset.price;
  find("[data-unavailable]").hidden = chosen().dataset.available === "yes";
}

asking.addEventListener("submit", (submit) => {
  submit.preventDefault();
  send(asking.elements.message.value);
});
asking.elements.message.addEventListener("keydown", (press) => {
  if (press.key !== "Enter" || press.shiftKey || press.isComposing) return;
  press.preventDefault();
  send(asking.elements.message.value);
});
document.addEventListener("keydown", (press) => {
  if (press.key === "Escape" && running && !document.querySelector("dialog[open]")) running.abort();
});
find("[data-stop]").addEventListener("click", () => running?.abort());
list.addEventListener("click", (click) => {
  if (click.target.matches("[data-try]")) send(click.target.textContent);
});
document.querySelector("[data-clear]").addEventListener("click", () => {
  running?.abort();
  talk = [];
  for (const message of list.querySelectorAll(".message")) message.remove();
  find("[data-beginning]").hidden = false;
});
tuning.addEventListener("submit", (submit) => submit.preventDefault());
tuning.elements.model.addEventListener("change", showChoice);
showChoice();

// The code of the call that would be made now: asked for in the form of the button.
document.querySelector("[data-show-code]").addEventListener("click", (click) => {
  const typed = asking.elements.message.value.trim();
  const messages = typed ? [...talk, { role: "user", content: typed }] : talk;
  const shown = messages.length ? messages : [{ role: "user", content: "…" }];
  click.currentTarget.elements.body.value = JSON.stringify(body(shown));
}, true);

for (const part of document.querySelectorAll("[data-narrow-closed]")) {
  part.open = matchMedia("(min-width: 1024px)").matches;
}
