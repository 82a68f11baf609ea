// A slider over frames that were saved one by one, with their pictures enlarged pixel for pixel.
//
// props.value: {key, live, total, parts, heads, rows, frames: [{said, pictures}], empty}
//   key       another key begins anew; the same one adds frames
//   live      more frames are coming: the newest is shown until somebody takes the slider
//   total     how many there will be
//   parts     how many pictures stand side by side in a file, `gap` px of it between them
//   heads     a title for each part; rows: one for each file of a frame (led, not led ...)
//   pictures  addresses, one for each row
const find = (name) => element.querySelector("[data-part=" + name + "]");
const slider = find("slider"), said = find("said"), button = find("play"), grid = find("grid");
const loaded = new Map();
let value = null, shown = 0, following = true, timer = 0;

function picture(address) {
  if (!loaded.has(address)) {
    const image = new Image();
    image.addEventListener("load", draw);
    image.src = address;
    loaded.set(address, image);
  }
  return loaded.get(address);
}

// On a small screen what was asked for begins below what can be seen.
function bring() {
  if (element.getBoundingClientRect().top > window.innerHeight * 0.7) {
    const calm = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    element.scrollIntoView({ block: "center", behavior: calm ? "auto" : "smooth" });
  }
}

// Colours in a title are shown before they are named.
function heading(title) {
  const made = document.createElement("h4");
  for (const word of title.split(/(#[0-9a-f]{6})/)) {
    if (word[0] === "#") {
      const swatch = document.createElement("span");
      swatch.className = "frames-swatch";
      swatch.style.background = word;
      made.append(swatch);
    }
    made.append(word);
  }
  return made;
}

function rebuild() {
  grid.replaceChildren();
  grid.style.setProperty("--columns", value.heads.length);
  for (const [row, title] of value.rows.entries()) {
    if (title) {
      grid.append(heading(title));
    }
    for (const [part, head] of value.heads.entries()) {
      const figure = document.createElement("figure");
      const canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      Object.assign(canvas.dataset, { row, part });
      figure.append(canvas);
      if (head) {
        const caption = document.createElement("figcaption");
        caption.textContent = head;
        figure.append(caption);
      }
      grid.append(figure);
    }
  }
}

// The largest whole number of screen pixels for a pixel of the picture that fits the column.
function paint(canvas, image, part) {
  const width = Math.floor((image.naturalWidth - value.gap * (value.parts - 1)) / value.parts);
  const height = image.naturalHeight, dense = window.devicePixelRatio || 1;
  const room = Math.min(canvas.parentElement.clientWidth, value.widest || 340) * dense;
  const factor = Math.max(1, Math.floor(room / width));
  if (canvas.width !== width * factor || canvas.height !== height * factor) {
    canvas.width = width * factor;
    canvas.height = height * factor;
    canvas.style.width = (width * factor) / dense + "px";
  }
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  const left = part * (width + value.gap);
  context.drawImage(image, left, 0, width, height, 0, 0, canvas.width, canvas.height);
}

function draw() {
  if (!value || !value.frames.length || !element.isConnected) return;
  const frame = value.frames[shown];
  let whole = true;
  for (const canvas of grid.querySelectorAll("canvas")) {
    const image = picture(frame.pictures[canvas.dataset.row]);
    const head = value.heads[canvas.dataset.part];
    canvas.setAttribute("aria-label", [value.rows[canvas.dataset.row], head, frame.said].join(", "));
    if (image.complete && image.naturalWidth) paint(canvas, image, Number(canvas.dataset.part));
    else whole = false;
  }
  said.textContent = frame.said;
  slider.value = shown;
  slider.setAttribute("aria-valuetext", frame.said);
  grid.dataset.shown = whole ? shown : "";
  grid.dataset.key = value.key;
}

function show(index) {
  shown = Math.max(0, Math.min(index, value.frames.length - 1));
  draw();
}

function play(on) {
  clearInterval(timer);
  timer = 0;
  button.textContent = on ? "Pause" : "Play";
  if (!on) return;
  if (shown >= value.frames.length - 1) show(0);
  timer = setInterval(() => {
    if (!element.isConnected || shown >= value.frames.length - 1) play(false);
    else show(shown + 1);
  }, 1000 / (value.rate || 15));
}

function update() {
  const before = value;
  value = props.value || { frames: [], rows: [], heads: [] };
  const there = value.frames.length > 0;
  find("player").hidden = !there;
  find("empty").hidden = there;
  find("empty").textContent = value.empty || "";
  const layout = (one) => JSON.stringify([one.key, one.rows, one.heads]);
  if (!before || layout(before) !== layout(value)) {
    if (before && value.key) bring();
    play(false);
    loaded.clear();
    following = true;
    shown = 0;
    rebuild();
  }
  if (!there) return;
  slider.max = Math.max(value.total, value.frames.length) - 1;
  button.disabled = value.frames.length < 2;
  for (const frame of value.frames) frame.pictures.forEach(picture);
  show(following ? value.frames.length - 1 : shown);
}

slider.addEventListener("input", () => {
  following = false;
  play(false);
  show(Number(slider.value));
});
button.addEventListener("click", () => {
  following = false;
  play(!timer);
});
new ResizeObserver(draw).observe(grid);
watch("value", update);
update();
