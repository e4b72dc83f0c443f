// The page: fields, tabs, sliders, maps. Figures and pictures are asked of rfcalc (worker.js, bridge.py).
import { quiz } from "./quiz.js";

const here = new URL(".", import.meta.url);
const $ = (name) => document.getElementById(`pg-${name}`);
const worker = new Worker(new URL("worker.js", here), { type: "module" });
const waiting = new Map();
let count = 0;
let current = null;
let tab = "table";

function ask(request) {
  return post({ request });
}
function post(message, transfer = []) {
  count += 1;
  const id = count;
  return new Promise((resolve) => {
    waiting.set(id, resolve);
    worker.postMessage({ ...message, id }, transfer);
  });
}
worker.onmessage = ({ data }) => {
  if (data.progress !== undefined) $("progress").value = data.progress;
  if (data.told) $("state").textContent = data.told;
  if (data.ready) {
    window.playground = { bare: data.bare, begun: data.begun };
    start();
  }
  if (data.id) {
    waiting.get(data.id)(data.answer);
    waiting.delete(data.id);
  }
};
worker.onerror = (event) => tell(`the interpreter could not be started: ${event.message}`, true);

function tell(text, wrong = false) {
  $("state").textContent = text;
  $("state").classList.toggle("wrong", wrong);
}

async function start() {
  $("loading").hidden = true;
  const { networks, version } = await ask({ what: "networks" });
  $("version").textContent = `rfcalc ${version}`;
  for (const name of networks) $("networks").append(new Option(name, name));
  await read();
  if (quiz(ask, tell)) {
    tab = "quiz";
    await show();
  }
  window.playground.first = performance.timeOrigin + performance.now() - window.playground.begun;
  $("root").dataset.ready = "yes";
}

let latest = 0;
async function read(keep = null) {
  latest += 1;
  const mine = latest;
  const text = $("text").value.trim();
  if (!text) return tell("type a network");
  tell("…");
  const answer = await ask({ what: "read", text, input: $("input").value.trim() });
  if (mine !== latest) return;
  if (answer.error) {
    tell(answer.error, true);
    if (tab === "formula") await show(); // a network with symbols has formulas, and no table
    return;
  }
  current = answer;
  $("out-table").innerHTML = answer.table;
  tell(`${answer.nodes.length - 1} nodes, ${Number(answer.totals.params).toLocaleString("en")} parameters`);
  $("root").dataset.params = answer.totals.params;
  choices(keep);
  await show();
}

function choices(keep) {
  const before = keep ?? $("node").value;
  $("node").replaceChildren();
  for (const node of current.nodes.slice(1)) $("node").append(new Option(`${node.name}  ${node.notation}`, node.name));
  const names = current.nodes.map((node) => node.name);
  const first = current.nodes.find((node) => node.sliders)?.name ?? names.at(-1);
  $("node").value = names.includes(before) && before ? before : first;
  sliders();
}

function sliders() {
  const node = current.nodes.find((one) => one.name === $("node").value);
  for (const name of ["kernel", "stride", "padding", "dilation"]) {
    const slider = $(name);
    const value = node?.sliders?.[name];
    slider.disabled = value === undefined || value === null;
    if (!slider.disabled) {
      slider.max = Math.max(Number(slider.dataset.max), value);
      slider.value = value;
    }
    $(`${name}-value`).textContent = slider.disabled ? "–" : slider.value;
  }
}

async function slide() {
  const node = $("node").value;
  const values = {};
  for (const name of ["kernel", "stride", "padding", "dilation"]) {
    if (!$(name).disabled) values[name] = Number($(name).value);
    $(`${name}-value`).textContent = $(name).disabled ? "–" : $(name).value;
  }
  const answer = await ask({ what: "change", node, ...values });
  if (answer.error) return tell(answer.error, true);
  $("text").value = answer.text;
  await read(node);
}

async function show() {
  for (const button of document.querySelectorAll("#pg-tabs button")) {
    button.setAttribute("aria-selected", String(button.dataset.tab === tab));
  }
  for (const name of ["table", "picture", "maps", "formula", "derivation", "command", "quiz"]) $(`tab-${name}`).hidden = name !== tab;
  if (!current && tab !== "formula") return;
  const mine = latest;
  const node = $("node").value;
  let answer = {};
  if (tab === "picture") {
    answer = await ask({ what: "picture", style: $("style").value, highlight: $("mark").checked && !$("style").value.match(/growth|cost|memory|tiles|field/) ? node : "" });
    if (answer.svg && mine === latest) $("out-picture").innerHTML = answer.svg;
  } else if (tab === "formula") {
    answer = await ask({ what: "formula", text: $("text").value.trim() });
    if (answer.html && mine === latest) $("out-formula").innerHTML = answer.html;
    tell(answer.error ? "" : "formulas in the symbols that the table names");
  } else if (tab === "derivation") {
    answer = await ask({ what: "derivation", node, metric: $("metric").value });
    if (answer.html && mine === latest) $("out-derivation").innerHTML = answer.html;
  } else if (tab === "maps") {
    maps();
  }
  if (answer.error) tell(answer.error, true);
}

// --- maps: hover a unit and see what it reads of every map before it -------------------------------------------------

const SIDE = 132;
function maps() {
  const root = $("out-maps");
  root.replaceChildren();
  const shown = current.nodes.filter((node) => node.spatial.length && node.spatial.every((n) => typeof n === "number"));
  const step = Math.max(1, Math.ceil(shown.length / 60));
  const chosen = shown.filter((node, i) => i % step === 0 || i === shown.length - 1 || node.name === $("node").value);
  const most = Math.max(...shown.flatMap((node) => node.spatial));
  for (const node of chosen) {
    const figure = document.createElement("figure");
    const [h, w] = node.spatial.length > 1 ? node.spatial.slice(-2) : [1, node.spatial.at(-1)];
    const scale = SIDE / Math.max(h, w);
    const canvas = document.createElement("canvas");
    canvas.width = Math.max(2, Math.round(w * scale));
    canvas.height = node.spatial.length > 1 ? Math.max(2, Math.round(h * scale)) : 24;
    canvas.dataset.node = node.name;
    canvas.dataset.h = h;
    canvas.dataset.w = w;
    canvas.style.opacity = most ? 1 : 0.9;
    const caption = document.createElement("figcaption");
    caption.textContent = `${node.name} ${node.shape.join("×")}`;
    figure.append(canvas, caption);
    root.append(figure);
    canvas.addEventListener("pointermove", (event) => hover(canvas, node, event));
  }
}

let hovering = false;
let next = null;
async function hover(canvas, node, event) {
  const box = canvas.getBoundingClientRect();
  const h = Number(canvas.dataset.h);
  const w = Number(canvas.dataset.w);
  const x = Math.min(w - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * w)));
  const y = Math.min(h - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * h)));
  const unit = node.spatial.length > 1 ? [...node.spatial.slice(0, -2).map((n) => Math.floor(n / 2)), y, x] : [x];
  next = { node: node.name, unit, y, x };
  if (hovering) return;
  hovering = true;
  while (next) {
    const now = next;
    next = null;
    const names = [...document.querySelectorAll("#pg-out-maps canvas")].map((one) => one.dataset.node);
    const answer = await ask({ what: "seen", node: now.node, unit: now.unit, maps: names });
    if (answer.error) tell(answer.error, true);
    else draw(now, answer);
  }
  hovering = false;
}

function draw(now, answer) {
  tell(answer.told);
  const ink = getComputedStyle($("root"));
  for (const canvas of document.querySelectorAll("#pg-out-maps canvas")) {
    const context = canvas.getContext("2d");
    const [sx, sy] = [canvas.width / Number(canvas.dataset.w), canvas.height / Number(canvas.dataset.h)];
    context.clearRect(0, 0, canvas.width, canvas.height);
    const fill = (y0, y1, x0, x1, color) => {
      context.fillStyle = color;
      context.fillRect(x0 * sx, y0 * sy, Math.max(1, (x1 - x0) * sx), Math.max(1, (y1 - y0) * sy));
    };
    const found = answer.maps[canvas.dataset.node];
    canvas.dataset.size = found ? found.size.join("x") : "";
    if (found) for (const box of found.boxes) fill(...box, ink.getPropertyValue("--pg-seen"));
    if (canvas.dataset.node === now.node) fill(now.y, now.y + 1, now.x, now.x + 1, ink.getPropertyValue("--pg-unit"));
  }
}

// --- events ----------------------------------------------------------------------------------------------------------

let typing = 0;
for (const name of ["text", "input"]) {
  $(name).addEventListener("input", () => {
    clearTimeout(typing);
    typing = setTimeout(() => read(), 250);
  });
}
$("networks").addEventListener("change", () => {
  if (!$("networks").value) return;
  $("text").value = $("networks").value;
  $("input").value = "";
  read();
});
$("node").addEventListener("change", () => {
  sliders();
  show();
});
for (const name of ["kernel", "stride", "padding", "dilation"]) $(name).addEventListener("input", slide);
for (const name of ["style", "metric", "mark"]) $(name).addEventListener("change", show);
$("tabs").addEventListener("click", (event) => {
  if (!event.target.dataset.tab) return;
  tab = event.target.dataset.tab;
  show();
});
$("line").addEventListener("keydown", async (event) => {
  if (event.key !== "Enter") return;
  $("out-command").textContent = "…";
  const answer = await ask({ what: "command", line: $("line").value });
  $("out-command").textContent = answer.error ?? answer.text;
  tell(answer.error ? "" : `exit code ${answer.code}`);
});

async function take(file) {
  if (!file) return;
  const bytes = await file.arrayBuffer();
  const name = file.name.replace(/[^\w.-]/g, "_");
  await post({ file: name, bytes }, [bytes]);
  $("text").value = `file:${name}`;
  $("input").value = "";
  $("networks").value = "";
  await read();
}
$("file").addEventListener("change", () => take($("file").files[0]));
const root = $("root");
root.addEventListener("dragover", (event) => {
  event.preventDefault();
  root.classList.add("over");
});
root.addEventListener("dragleave", () => root.classList.remove("over"));
root.addEventListener("drop", (event) => {
  event.preventDefault();
  root.classList.remove("over");
  take(event.dataTransfer.files[0]);
});
