// The viewer of a sweep: `element`, `trigger`, `props` and `watch` are given by gr.HTML. The slider
// asks nobody: every picture that is drawn is a file, and its address follows from line and scale.
"use strict";
const all = selector => [...element.querySelectorAll(selector)];
const one = selector => element.querySelector(selector);
const range = one(".gd-slider input"), track = one(".gd-track"), chart = one(".gd-chart");
const stages = all(".gd-stage").map(figure => ({
  figure,
  image: figure.querySelector("img"),
  choice: figure.querySelector("select"),
  label: figure.querySelector(".gd-label"),
  save: figure.querySelector("a"),
  line: 0,
  key: null,
}));
const state = { data: null, name: "", index: 0, two: false, quantity: "speed", playing: 0, asked: new Map(), rest: 0 };
const loaded = new Map();
const KEPT = 700, AT_ONCE = 4, REST = 600;

function make(tag, attributes = {}, text = "") {
  const svg = ["rect", "line", "path", "text"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
}

// --- which picture belongs to a place of the range

function prepare(data) {
  data.values = data.scales.map(Number);
  for (const line of data.lines) {
    line.spare = new Set(line.between);
    line.have = [...line.drawn, ...line.between].sort((x, y) => x - y);
    line.there = new Set(line.have);
  }
  return data;
}

function nearest(line, index) {
  const wanted = state.data.values[index];
  let best = line.have[0];
  for (const place of line.have) {
    if (Math.abs(state.data.values[place] - wanted) < Math.abs(state.data.values[best] - wanted)) best = place;
  }
  return best;
}

function address(line, place) {
  return (line.spare.has(place) ? line.more : line.base) + "/" + state.data.stems[place] + ".png";
}

function load(url) {
  if (loaded.has(url)) return loaded.get(url);
  const picture = { image: new Image(), ready: false };
  picture.done = new Promise(resolve => {
    picture.image.onload = () => { picture.ready = true; resolve(true); };
    picture.image.onerror = () => { loaded.delete(url); resolve(false); };
  });
  picture.image.src = url;
  loaded.set(url, picture);
  return picture;
}

let fetching = 0;
function preload() {
  if (!state.data || fetching >= AT_ONCE) return;
  const wanted = [];
  for (const { line } of shownStages()) {
    for (const place of state.data.lines[line].have) wanted.push([Math.abs(place - state.index), address(state.data.lines[line], place)]);
  }
  wanted.sort((x, y) => x[0] - y[0]);
  const near = wanted.slice(0, KEPT).map(pair => pair[1]);
  if (loaded.size > 2 * KEPT) {
    const keep = new Set(near);
    for (const url of [...loaded.keys()]) if (!keep.has(url)) loaded.delete(url);
  }
  for (const url of near) {
    if (fetching >= AT_ONCE) return;
    if (loaded.has(url)) continue;
    fetching += 1;
    load(url).done.then(() => { fetching -= 1; preload(); });
  }
}

// --- what is seen

const shownStages = () => stages.slice(0, state.two ? 2 : 1);

function place(stage) {
  const line = state.data.lines[stage.line], at = nearest(line, state.index);
  if (at === undefined) return;
  const url = address(line, at), picture = load(url);
  const put = () => {
    if (stage.wanted !== url) return;
    const scale = state.data.scales[at];
    stage.image.src = url;
    stage.image.alt = line.prompt + ", guidance scale " + scale + ", " + line.label;
    stage.image.dataset.scale = scale;
    const { naturalWidth, naturalHeight } = picture.image;
    stage.image.parentElement.style.aspectRatio = naturalWidth + " / " + naturalHeight;
    stage.save.href = url;
    stage.save.download = state.data.name + "-" + scale + ".png";
    stage.label.textContent = state.data.lines.length > 1 ? "" : line.label;
    if (stage === stages[0]) one(".gd-number").textContent = scale;
  };
  stage.wanted = url;
  if (picture.ready) put();
  else picture.done.then(fine => { if (fine) put(); });
}

function missing() {
  return shownStages().some(({ line }) => !state.data.lines[line].there.has(state.index));
}

function note() {
  const scale = state.data.scales[state.index];
  let text = "";
  if (missing()) {
    text = state.asked.has(scale) || state.data.working ? scale + " is being drawn" : scale + " is not drawn; the nearest is shown";
  }
  const shown = one(".gd-note");
  if (shown.textContent !== text) shown.textContent = text;
}

function show(index) {
  const last = state.data.scales.length - 1;
  state.index = Math.max(0, Math.min(last, index));
  range.value = state.index;
  range.setAttribute("aria-valuetext", state.data.scales[state.index]);
  shownStages().forEach(place);
  note();
  moveCursor();
  clearTimeout(state.rest);
  if (!state.playing) state.rest = setTimeout(rested, REST);
  preload();
}

function rested() {
  if (!state.data || !missing() || !one(".gd-ends input").checked) return;
  const scale = state.data.scales[state.index];
  if (state.asked.has(scale) || state.data.working) return;
  state.asked.set(scale, Date.now());
  note();
  drawTrack();
  trigger("rest", { name: state.data.name, scale });
}

// --- the track below the slider: what is drawn, what was asked for, where it turns

const share = index => (state.data.scales.length > 1 ? index / (state.data.scales.length - 1) : 0);

function placeOf(scale) {
  const values = state.data.values;
  if (scale <= values[0]) return 0;
  for (let k = 1; k < values.length; k += 1) {
    if (scale <= values[k]) return k - 1 + (scale - values[k - 1]) / (values[k] - values[k - 1]);
  }
  return values.length - 1;
}

function drawTrack() {
  const width = track.clientWidth || 1, count = state.data.scales.length;
  const cell = Math.max(2, Math.min(width / Math.max(1, count - 1), 22));
  const parts = [make("rect", { class: "rail", x: 0, y: 4, width, height: 4, rx: 2 })];
  const mark = (kind, index, high) => parts.push(make("rect", {
    class: kind, x: (share(index) * width - cell / 2 + (cell > 4 ? 0.5 : 0)).toFixed(1), y: 6 - high / 2,
    width: (cell - (cell > 4 ? 1 : 0)).toFixed(1), height: high, rx: Math.min(2, cell / 3),
  }));
  for (let index = 0; index < count; index += 1) {
    if (shownStages().every(({ line }) => state.data.lines[line].there.has(index))) mark("drawn", index, 8);
    else if (state.asked.has(state.data.scales[index])) mark("asked", index, 8);
  }
  for (const [at] of state.data.lines[stages[0].line].transitions) {
    parts.push(make("rect", { class: "turn", x: (share(placeOf(at)) * width - 1.5).toFixed(1), y: -2, width: 3, height: 16, rx: 1.5 }));
  }
  track.replaceChildren(...parts);
}

// --- curves; the chart's edges are the slider's, so that its cursor stands below the thumb

const PAD = 11, TOP = 8, BOTTOM = 20;
let cursor = null;

function across(scale) {
  return PAD + share(placeOf(scale)) * (chart.clientWidth - 2 * PAD);
}

function drawChart() {
  const lines = shownStages().map(stage => state.data.lines[stage.line]);
  const names = Object.keys(state.data.quantities).filter(name => lines[0].curves[name]);
  one(".gd-curves").hidden = names.length === 0;
  if (!names.length) return;
  if (!names.includes(state.quantity)) state.quantity = names[0];
  fill(one(".gd-curves select"), names.map(name => [name, state.data.quantities[name]]), state.quantity);
  const height = chart.clientHeight, width = chart.clientWidth;
  const curves = lines.map(line => line.curves[state.quantity] || []);
  const log = state.quantity === "speed";
  const positive = curves.flat().map(point => point[1]).filter(value => !log || value > 0);
  const floor = Math.min(...positive);
  const value = y => (log ? Math.log10(Math.max(y, floor)) : y);
  let low = value(floor), high = value(Math.max(...positive));
  if (!(high - low > 1e-9)) { low -= 0.5; high += 0.5; }
  const up = y => TOP + (height - TOP - BOTTOM) * (1 - (value(y) - low) / (high - low));
  const parts = [];
  for (const [, from, to] of lines[0].shared) parts.push(make("rect", { class: "band", x: across(from) - 2, y: TOP, width: across(to) - across(from) + 4, height: height - TOP - BOTTOM }));
  for (const share of [0, 1]) {
    const y = TOP + (height - TOP - BOTTOM) * share, shown = log ? 10 ** (high + (low - high) * share) : high + (low - high) * share;
    parts.push(make("line", { class: "grid", x1: PAD, x2: width - PAD, y1: y, y2: y }));
    parts.push(make("text", { x: PAD + 4, y: share ? y - 4 : y + 11 }, String(Number(shown.toPrecision(2)))));
  }
  for (const [at] of lines[0].transitions) parts.push(make("line", { class: "turn", x1: across(at), x2: across(at), y1: TOP, y2: height - BOTTOM }));
  curves.forEach((points, k) => {
    const path = points.map(([x, y], i) => (i ? "L" : "M") + across(x).toFixed(1) + " " + up(y).toFixed(1)).join("");
    parts.push(make("path", { class: k ? "b" : "a", d: path }));
  });
  const last = state.data.scales.length - 1;
  for (const at of new Set([0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * last)))) {
    const anchor = at === 0 ? "start" : at === last ? "end" : "middle";
    parts.push(make("text", { x: across(state.data.values[at]), y: height - 4, "text-anchor": anchor }, state.data.scales[at]));
  }
  cursor = make("line", { class: "cursor", y1: TOP - 4, y2: height - BOTTOM + 4 });
  chart.replaceChildren(...parts, cursor);
  drawTurns(lines[0]);
  moveCursor();
}

function moveCursor() {
  if (!cursor) return;
  const x = across(state.data.values[state.index]);
  cursor.setAttribute("x1", x);
  cursor.setAttribute("x2", x);
}

function drawTurns(line) {
  const said = [make("span", {}, line.transitions.length ? "Sudden changes at" : "No sudden change: the pictures develop steadily.")];
  for (const [at, , , factor] of line.transitions) {
    const button = make("button", { type: "button", "data-scale": at }, Number(at.toFixed(2)) + "  (" + Number(factor.toPrecision(2)) + " times faster)");
    button.addEventListener("click", () => { stop(); show(Math.round(placeOf(at))); });
    said.push(button);
  }
  one(".gd-turns").replaceChildren(...said);
}

// --- playing in place: the pictures themselves, in order, as fast as the film

function stop() {
  clearInterval(state.playing);
  state.playing = 0;
  one(".gd-play").setAttribute("aria-pressed", "false");
  one(".gd-play").textContent = "Play";
}

function play() {
  if (state.playing) { stop(); show(state.index); return; }
  const line = state.data.lines[stages[0].line];
  if (line.have.length && state.index >= line.have[line.have.length - 1]) show(0);
  one(".gd-play").setAttribute("aria-pressed", "true");
  one(".gd-play").textContent = "Pause";
  state.playing = setInterval(() => {
    const next = state.data.lines[stages[0].line].have.find(place => place > state.index);
    if (next === undefined) stop();
    else show(next);
  }, 1000 / state.data.fps);
}

// --- films and files

function drawResults() {
  const data = state.data, kinds = Object.keys(data.films), links = [];
  const film = one(".gd-film"), box = film.querySelector("div"), first = kinds[0];
  film.hidden = !first;
  if (first && box.dataset.film !== data.films[first]) {
    box.dataset.film = data.films[first];
    box.replaceChildren(first === "gif" ? make("img", { src: data.films.gif, alt: "The film" }) : make("video", { src: data.films[first], controls: "", loop: "", preload: "metadata", playsinline: "" }));
  }
  for (const kind of kinds) links.push(make("a", { href: data.films[kind], download: data.name + "." + kind, class: "gd-file" }, "Film (" + kind + ")"));
  if (data.complete) {
    for (const kind of ["mp4", "webm", "gif"].filter(kind => !kinds.includes(kind))) {
      const button = make("button", { type: "button" }, "Make " + kind);
      button.addEventListener("click", () => { button.disabled = true; trigger("film", { name: data.name, format: kind }); });
      links.push(button);
    }
  }
  if (data.sheet) links.push(make("a", { href: data.sheet, download: data.name + "-contact-sheet.png", class: "gd-file" }, "Contact sheet"));
  if (data.report) links.push(make("a", { href: data.report, download: data.name + "-report.html", class: "gd-file" }, "Report"));
  one(".gd-links").replaceChildren(...links);
  one(".gd-results").hidden = !links.length && !first;
}

// --- choosing lines

function fill(select, options, chosen) {
  const same = [...select.options].map(option => option.value + option.text).join() === options.map(([key, text]) => key + text).join();
  if (!same) select.replaceChildren(...options.map(([key, text]) => make("option", { value: key }, text)));
  select.value = chosen;
}

function drawStages() {
  const lines = state.data.lines, several = lines.length > 1;
  if (!several) state.two = false;
  if (!lines.some(line => line.key === stages[1].key)) {
    const first = lines.find(line => line.key === stages[0].key) || lines[0];
    const others = lines.filter(line => line.key !== first.key);
    stages[1].key = (others.find(line => line.seed === first.seed) || others[0] || first).key;
  }
  one(".gd-compare").hidden = !several;
  one(".gd-compare").setAttribute("aria-pressed", state.two);
  one(".gd-stages").classList.toggle("two", state.two);
  stages[1].figure.hidden = !state.two;
  for (const stage of stages) {
    stage.line = Math.max(0, lines.findIndex(line => line.key === stage.key));
    stage.key = lines[stage.line].key;
    stage.choice.hidden = !several;
    fill(stage.choice, lines.map(line => [line.key, line.label]), stage.key);
  }
}

function redraw() {
  drawStages();
  drawTrack();
  drawChart();
  show(state.index);
}

// --- news from the folder

function update() {
  const data = props.value;
  const empty = !data || !data.lines || !data.lines.length;
  one(".gd-hint").hidden = !empty;
  one(".gd-body").hidden = empty;
  if (empty) { stop(); state.data = null; state.name = ""; return; }
  const scale = state.data && state.data.scales[state.index];
  const another = state.name !== data.name;
  state.data = prepare(JSON.parse(JSON.stringify(data)));
  state.name = data.name;
  if (another) {
    stop();
    state.asked.clear();
    state.two = false;
    stages[0].key = data.lines[0].key;
    stages[1].key = null;
  }
  const kept = another ? -1 : state.data.scales.indexOf(scale);
  const usual = Math.round(placeOf(7.5));
  state.index = kept >= 0 ? kept : state.data.values.at(-1) >= 7.5 ? usual : Math.floor(state.data.scales.length / 2);
  range.max = state.data.scales.length - 1;
  const ends = all(".gd-ends > span");
  ends[0].textContent = data.scales[0];
  ends[1].textContent = data.scales.at(-1);
  for (const at of state.data.lines.at(-1).have) state.asked.delete(data.scales[at]);
  if (!data.filling) for (const [asked, when] of [...state.asked]) if (Date.now() - when > 5000) state.asked.delete(asked);
  drawResults();
  redraw();
  if (another && window.innerWidth < 700 && element.offsetParent) element.scrollIntoView({ block: "start" });
}

// A file would be saved under its own name, and every film is called guidance.
element.addEventListener("click", async event => {
  const link = event.target.closest("a[download]");
  if (!link || link.href.startsWith("blob:")) return;
  event.preventDefault();
  const answer = await fetch(link.href);
  if (!answer.ok) return;
  const copy = make("a", { href: URL.createObjectURL(await answer.blob()), download: link.download });
  copy.click();
  setTimeout(() => URL.revokeObjectURL(copy.href), 60000);
});
range.addEventListener("input", () => { stop(); show(Number(range.value)); });
range.addEventListener("keydown", event => { if (event.key === " ") { event.preventDefault(); play(); } });
one(".gd-play").addEventListener("click", play);
one(".gd-compare").addEventListener("click", () => {
  state.two = !state.two;
  if (stages[1].key === stages[0].key) stages[1].key = null;
  redraw();
});
one(".gd-ends input").addEventListener("change", () => show(state.index));
one(".gd-curves select").addEventListener("change", event => { state.quantity = event.target.value; drawChart(); });
stages.forEach(stage => stage.choice.addEventListener("change", () => { stage.key = stage.choice.value; redraw(); }));
let held = false;
const follow = event => {
  const box = chart.getBoundingClientRect();
  const part = (event.clientX - box.left - PAD) / (box.width - 2 * PAD);
  stop();
  show(Math.round(part * (state.data.scales.length - 1)));
};
chart.addEventListener("pointerdown", event => { held = true; chart.setPointerCapture(event.pointerId); follow(event); });
chart.addEventListener("pointermove", event => { if (held) follow(event); });
chart.addEventListener("pointerup", () => { held = false; });
new ResizeObserver(() => { if (state.data) { drawTrack(); drawChart(); } }).observe(one(".gd-slider"));
watch("value", update);
update();
