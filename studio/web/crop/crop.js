// Pictures with the rectangles that are cut out of them, to be dragged.
//
// props.value: {run, prefix, cards: [{name, size, out, boxes, way, caption, captions, badges, flaws,
//   waits, picture, crops}]}; places are px of the upright picture, `out` is the size of a crop.
// What a person does becomes the event "edit", with {run, name, do: "boxes" | "way" | "caption"}.
const cards = element.querySelector("[data-part=cards]");
const said = element.querySelector("[data-part=said]");
const hint = element.querySelector("[data-part=hint]");
const WAYS = { automatic: "Automatic", focal: "Crop", centre: "Crop, in the middle",
  pad: "Whole, padded", tiles: "Several tiles", hand: "By hand", drop: "Leave out" };
const views = new Map();
let run = null, numbers = 0;

const same = (one, other) => JSON.stringify(one) === JSON.stringify(other);

// --- drawing

function make(tag, attributes = {}, ...children) {
  const svg = ["svg", "image", "mask", "rect", "polygon", "title", "defs"].includes(tag);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The picture and whatever of its rectangles leaves it, with a little room around.
function frame(card, boxes) {
  let [x0, y0, x1, y1] = [0, 0, ...card.size];
  for (const box of boxes) {
    x0 = Math.min(x0, box[0]); y0 = Math.min(y0, box[1]);
    x1 = Math.max(x1, box[2]); y1 = Math.max(y1, box[3]);
  }
  const margin = 0.012 * Math.max(x1 - x0, y1 - y0);
  return [x0 - margin, y0 - margin, x1 - x0 + 2 * margin, y1 - y0 + 2 * margin];
}

function skeleton(card) {
  const mask = "crop-mask-" + run.replace(/\W/g, "") + "-" + numbers++;
  const view = { card, boxes: [], captions: [], chosen: 0, pending: false, dragging: false, mask };
  view.node = make("article", { class: "crop-card" });
  view.plane = make("div", { class: "crop-plane" });
  view.stage = make("div", { class: "crop-stage" }, view.plane);
  view.picture = make("img", { alt: "", draggable: "false" });
  view.shade = make("svg", { class: "crop-shade", preserveAspectRatio: "none", "aria-hidden": "true" });
  view.plane.append(view.picture, view.shade);
  view.windows = [];
  const apply = make("button", { type: "button", class: "crop-apply" }, "Apply");
  const reset = make("button", { type: "button" }, "Reset");
  view.bar = make("div", { class: "crop-bar", hidden: "" }, apply, reset);
  apply.addEventListener("click", () => applied(view));
  reset.addEventListener("click", () => back(view));
  view.add = make("button", { type: "button" }, "Add a tile");
  view.remove = make("button", { type: "button" }, "Remove");
  view.add.addEventListener("click", () => added(view));
  view.remove.addEventListener("click", () => removed(view, view.chosen));
  view.stage.append(make("div", { class: "crop-bar crop-tools" }, view.add, view.remove), view.bar);
  view.thumbs = make("div", { class: "crop-thumbs" });
  view.caption = make("textarea", { rows: "2", maxlength: "2000", spellcheck: "true" });
  view.tiles = make("ol", { class: "crop-tiles", hidden: "" });
  view.badges = make("ul", { class: "crop-badges" });
  view.way = make("select", {});
  view.title = make("p", { class: "crop-name" });
  view.node.append(view.stage,
    make("div", { class: "crop-words" }, view.thumbs, view.caption), view.tiles, view.badges,
    make("div", { class: "crop-foot" }, view.title, view.way));
  listen(view);
  return view;
}

function draw(view) {
  const { card } = view;
  const [x, y, w, h] = frame(card, view.boxes);
  view.frame = [x, y, w, h];
  const share = (value, whole) => (100 * value) / whole + "%";
  view.plane.style.setProperty("--ratio", w / h);
  Object.assign(view.picture.style, { left: share(-x, w), top: share(-y, h),
    width: share(card.size[0], w), height: share(card.size[1], h) });
  view.shade.setAttribute("viewBox", [x, y, w, h].join(" "));
  const rect = (box, fill) => make("rect", { x: box[0], y: box[1], width: box[2] - box[0],
    height: box[3] - box[1], fill });
  const mask = make("mask", { id: view.mask, maskUnits: "userSpaceOnUse", x, y, width: w, height: h },
    rect([0, 0, ...card.size], "white"), ...view.boxes.map((box) => rect(box, "black")));
  const dim = rect([0, 0, ...card.size], "");
  dim.setAttribute("class", "crop-dim");
  dim.setAttribute("mask", "url(#" + view.mask + ")");
  const flaws = card.flaws.map(([kind, points]) =>
    make("polygon", { class: "crop-flaw " + kind, points }, make("title", {}, kind)));
  view.shade.replaceChildren(make("defs", {}, mask), dim, ...flaws);
  while (view.windows.length > view.boxes.length) view.windows.pop().remove();
  while (view.windows.length < view.boxes.length) addWindow(view);
  view.windows.forEach((node, index) => {
    const box = view.boxes[index];
    Object.assign(node.style, { left: share(box[0] - x, w), top: share(box[1] - y, h),
      width: share(box[2] - box[0], w), height: share(box[3] - box[1], h) });
    const which = view.boxes.length > 1 ? "Tile " + (index + 1) + " of " + view.boxes.length : "Crop";
    node.classList.toggle("chosen", view.boxes.length > 1 && index === view.chosen);
    node.setAttribute("aria-label", which + " of " + card.name + ": " + place(box)
      + ". Arrow keys move it, with Shift they make it larger or smaller, + adds a tile, Enter applies, Escape resets"
      + (view.boxes.length > 1 ? ", Delete removes it." : "."));
  });
  view.add.setAttribute("aria-label", "Add a tile to " + card.name);
  view.remove.hidden = view.boxes.length < 2;
  view.remove.textContent = "Remove tile " + (view.chosen + 1);
  drawTiles(view);
  view.bar.hidden = !view.pending;
  view.node.classList.toggle("pending", view.pending);
}

// A caption for each tile, empty where it has the picture's.
function drawTiles(view) {
  const { card } = view;
  view.tiles.hidden = view.boxes.length < 2;
  while (view.tiles.childElementCount > view.boxes.length) view.tiles.lastElementChild.remove();
  while (view.tiles.childElementCount < view.boxes.length) addTile(view);
  [...view.tiles.children].forEach((item, index) => {
    const [picture, input] = item.children;
    const src = view.pending || view.boxes.length < 2 ? "" : card.crops[index];
    picture.style.backgroundImage = src ? "url(" + JSON.stringify(src) + ")" : "";
    const typing = document.activeElement === input && input.value !== input.defaultValue;
    if (!typing) input.value = view.captions[index];
    input.defaultValue = view.captions[index];
    input.placeholder = card.caption || "no caption";
    input.setAttribute("aria-label", "Caption of tile " + (index + 1) + " of " + card.name);
  });
}

function addTile(view) {
  const input = make("input", { type: "text", maxlength: "2000", spellcheck: "true" });
  const item = make("li", { class: "tile" + (view.tiles.childElementCount % 5) },
    make("span"), input);
  const index = view.tiles.childElementCount;
  view.tiles.append(item);
  input.addEventListener("focus", () => choose(view, index));
  input.addEventListener("change", () => {
    const text = input.value.replace(/\s+/g, " ").trim();
    if (text === view.captions[index]) return;
    view.captions[index] = text;
    view.pending = true;
    applied(view);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) input.blur();
    else if (event.key === "Escape") input.value = input.defaultValue;
  });
}

const place = (box) => (box[2] - box[0]) + " by " + (box[3] - box[1]) + " px at " + box[0] + ", " + box[1];

function addWindow(view) {
  const node = make("div", { class: "crop-window tile" + (view.windows.length % 5), tabindex: "0",
    role: "application", "aria-roledescription": "rectangle" });
  node.append(make("span", { class: "crop-dot" }));
  for (const corner of ["nw", "ne", "sw", "se"])
    node.append(make("span", { class: "crop-corner " + corner, "data-corner": corner }));
  view.windows.push(node);
  view.plane.append(node);
  node.addEventListener("focus", () => choose(view, view.windows.indexOf(node)));
  node.addEventListener("keydown", (event) => keyed(view, view.windows.indexOf(node), event));
  node.addEventListener("pointerdown", (event) => grabbed(view, view.windows.indexOf(node), event));
}

// As the server has it.
function restore(view) {
  view.pending = false;
  view.boxes = view.card.boxes.map((box) => [...box]);
  view.captions = view.boxes.map((_, index) => view.card.captions[index] || "");
  view.chosen = Math.min(view.chosen, view.boxes.length - 1);
}

function fill(view, card) {
  const before = view.card;
  view.card = card;
  if (!view.pending && !view.dragging) restore(view);
  if (view.picture.getAttribute("src") !== card.picture) {
    if (card.picture) view.picture.src = card.picture;
    else view.picture.removeAttribute("src");
  }
  view.node.dataset.name = card.name;
  view.node.classList.toggle("out", card.badges.some(([kind]) => kind === "out"));
  view.node.classList.toggle("waits", card.waits);
  view.title.textContent = card.name + " · " + card.size.join(" × ");
  view.title.title = view.title.textContent;
  view.caption.setAttribute("aria-label", "Caption of " + card.name);
  const all = card.captions.length && card.captions.every((text) => text);
  view.caption.placeholder = all ? "each tile has its own" : "no caption";
  view.caption.title = props.value.prefix ? "Before it stands: " + props.value.prefix : "";
  const typing = document.activeElement === view.caption && view.caption.value !== view.caption.defaultValue;
  if (!typing) view.caption.value = card.caption;
  view.caption.defaultValue = card.caption;
  view.badges.replaceChildren(...card.badges.map(([kind, text]) => make("li", { class: kind }, text)));
  const ways = Object.keys(WAYS).filter((way) => way !== "hand" || card.way === "hand");
  if (!same([...view.way.options].map((option) => option.value), ways))
    view.way.replaceChildren(...ways.map((way) => make("option", { value: way }, WAYS[way])));
  view.way.value = card.way;
  view.way.setAttribute("aria-label", "How " + card.name + " is cut");
  if (!before || !same(before.crops, card.crops) || !view.thumbs.childElementCount) {
    const shown = card.crops.slice(0, 4).map((src, index) =>
      make("img", { src, alt: index ? "" : "What is cut out of " + card.name, loading: "lazy" }));
    view.thumbs.replaceChildren(...shown);
    view.thumbs.dataset.count = shown.length;
  }
  draw(view);
}

// --- what a person does

function tell(view, edit) {
  trigger("edit", { run, name: view.card.name, ...edit });
}

function applied(view) {
  if (!view.pending) return;
  view.pending = false;
  draw(view);
  said.textContent = "Applied to " + view.card.name;
  const own = view.captions.some((text) => text) ? { captions: view.captions } : {};
  tell(view, { do: "boxes", boxes: view.boxes, ...own });
}

function back(view) {
  restore(view);
  draw(view);
  said.textContent = view.card.name + " is as it was";
}

function change(view, index, box) {
  view.boxes[index] = box;
  view.pending = !same(view.boxes, view.card.boxes);
  draw(view);
}

function choose(view, index) {
  if (index < 0 || index === view.chosen) return;
  view.chosen = index;
  draw(view);
}

function added(view) {
  if (view.boxes.length >= MOST) return void (said.textContent = MOST + " tiles are the most");
  view.boxes.push(another(view.card, view.boxes));
  view.captions.push("");
  reshaped(view, view.boxes.length - 1, "Tile " + view.boxes.length + " added, not applied yet");
}

function removed(view, index) {
  if (view.boxes.length < 2) return;
  view.boxes.splice(index, 1);
  view.captions.splice(index, 1);
  reshaped(view, Math.min(index, view.boxes.length - 1), "Removed, not applied yet");
}

function reshaped(view, index, sentence) {
  view.chosen = index;
  view.pending = true;
  activate(view);
  draw(view);
  view.windows[index].focus({ preventScroll: true });
  said.textContent = sentence;
}

function keyed(view, index, event) {
  const { card } = view, box = view.boxes[index];
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const step = Math.max(1, Math.round(Math.max(...card.size) / 100));
  let next = null;
  if (event.key === "Enter") applied(view);
  else if (event.key === "Escape") back(view);
  else if (event.key === "+" || event.key === "Insert") added(view);
  else if (event.key === "Delete" && view.boxes.length > 1) removed(view, index);
  else if (ways[event.key] && event.shiftKey) {
    const larger = event.key === "ArrowUp" || event.key === "ArrowRight" ? 2 : -2;
    next = resized(card, box, box[2] - box[0] + larger * step, [0.5, 0.5]);
  } else if (ways[event.key]) {
    const fine = event.altKey ? 1 : step;
    next = moved(card, box, ways[event.key][0] * fine, ways[event.key][1] * fine);
  } else return;
  event.preventDefault();
  if (next) {
    change(view, index, next);
    said.textContent = place(next) + ", not applied yet";
  }
}

function grabbed(view, index, event) {
  if (event.button || view.dragging) return;
  if (event.pointerType === "touch" && !view.node.classList.contains("active")) return activate(view);
  const node = view.windows[index], corner = event.target.dataset.corner;
  const start = view.boxes[index], from = [event.clientX, event.clientY];
  const scale = view.frame[2] / view.plane.clientWidth;
  event.preventDefault();
  activate(view);
  node.focus({ preventScroll: true });
  node.setPointerCapture(event.pointerId);
  view.dragging = true;
  const move = (now) => {
    const dx = (now.clientX - from[0]) * scale, dy = (now.clientY - from[1]) * scale;
    if (!corner) return change(view, index, moved(view.card, start, Math.round(dx), Math.round(dy)));
    const across = corner.endsWith("e") ? dx : -dx, down = corner.startsWith("s") ? dy : -dy;
    const longer = Math.abs(across) > Math.abs(down * ratio(view.card)) ? across : down * ratio(view.card);
    const fixed = [corner.endsWith("e") ? 0 : 1, corner.startsWith("s") ? 0 : 1];
    change(view, index, resized(view.card, start, start[2] - start[0] + longer, fixed));
  };
  const end = (last) => {
    node.removeEventListener("pointermove", move);
    node.removeEventListener("pointerup", end);
    node.removeEventListener("pointercancel", end);
    view.dragging = false;
    if (last.type === "pointerup") applied(view);
    else back(view);
  };
  node.addEventListener("pointermove", move);
  node.addEventListener("pointerup", end);
  node.addEventListener("pointercancel", end);
}

// A finger scrolls the page until a picture was tapped, and drags from then on.
function activate(view) {
  for (const other of views.values()) other.node.classList.toggle("active", other === view);
}

function listen(view) {
  view.stage.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") activate(view);
  });
  view.stage.addEventListener("click", () => activate(view));
  view.way.addEventListener("change", () => {
    const way = view.way.value;
    if (way === "hand") return;
    view.pending = false;
    tell(view, { do: "way", way });
  });
  const keep = () => {
    const text = view.caption.value.replace(/\s+/g, " ").trim();
    if (text === view.caption.defaultValue) return;
    view.caption.defaultValue = text;
    view.caption.value = text;
    tell(view, { do: "caption", caption: text });
  };
  view.caption.addEventListener("change", keep);
  view.caption.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) {
      event.preventDefault();
      keep();
    } else if (event.key === "Escape") view.caption.value = view.caption.defaultValue;
  });
}

// --- what the server says

function update() {
  const value = props.value || { run: "", cards: [] };
  if (value.run !== run) {
    run = value.run || "";
    hint.hidden = Boolean(run);
    views.clear();
    cards.replaceChildren();
  }
  const wanted = new Set((value.cards || []).map((card) => card.name));
  for (const [name, view] of [...views]) {
    if (!wanted.has(name)) {
      view.node.remove();
      views.delete(name);
    }
  }
  (value.cards || []).forEach((card, index) => {
    if (!views.has(card.name)) views.set(card.name, skeleton(card));
    const view = views.get(card.name);
    if (cards.children[index] !== view.node) cards.insertBefore(view.node, cards.children[index] || null);
    fill(view, card);
  });
}

watch("value", update);
update();
