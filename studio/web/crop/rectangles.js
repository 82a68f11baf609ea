// Rectangles, [x0, y0, x1, y1] in whole px of the picture; read before crop.js.
//
// A rectangle keeps the crops' shape. It stays in the picture as far as it fits there, and is never
// larger than what shows the whole picture: the server refuses anything else.
const SMALLEST = 16, MOST = 64;

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const ratio = (card) => card.out[0] / card.out[1];

// The shape that the shorter side decides, as cropping widens a rectangle.
function shape(card, width) {
  const aspect = ratio(card);
  if (aspect < 1) return [width, Math.round(width / aspect)];
  const height = Math.max(1, Math.round(width / aspect));
  return [Math.round(height * aspect), height];
}

function widest(card) {
  return Math.max(card.size[0], Math.round(card.size[1] * ratio(card)));
}

function slide(start, length, room) {
  return length <= room ? clamp(start, 0, room - length) : clamp(start, room - length, 0);
}

function placed(card, x, y, width, height) {
  x = slide(Math.round(x), width, card.size[0]);
  y = slide(Math.round(y), height, card.size[1]);
  return [x, y, x + width, y + height];
}

function moved(card, box, dx, dy) {
  return placed(card, box[0] + dx, box[1] + dy, box[2] - box[0], box[3] - box[1]);
}

// Made `width` wide, one point of it staying where it is: (0, 0) its upper left corner, (1, 1) the
// lower right one, (0.5, 0.5) its middle.
function resized(card, box, width, fixed) {
  const least = Math.min(SMALLEST, widest(card));
  const [w, h] = shape(card, clamp(Math.round(width), least, widest(card)));
  const x = box[0] + fixed[0] * (box[2] - box[0] - w), y = box[1] + fixed[1] * (box[3] - box[1] - h);
  return placed(card, x, y, w, h);
}

const shared = (one, other) =>
  Math.max(0, Math.min(one[2], other[2]) - Math.max(one[0], other[0])) *
  Math.max(0, Math.min(one[3], other[3]) - Math.max(one[1], other[1]));

// One more, where the others leave most room: as large as the last, or half of it where that takes
// nearly the whole picture.
function another(card, boxes) {
  const [width, height] = card.size, last = boxes[boxes.length - 1];
  const fits = Math.min(width, height * ratio(card));
  const crowded = last[2] - last[0] > 0.6 * fits && Math.max(width / height, height / width) < 1.5;
  const [w, h] = shape(card, Math.max(1, Math.round(Math.min(last[2] - last[0], fits) / (crowded ? 2 : 1))));
  let best = null, least = Infinity;
  for (let k = 0; k < 81; k++) {
    const box = placed(card, ((k % 9) / 8) * (width - w), (Math.floor(k / 9) / 8) * (height - h), w, h);
    const taken = boxes.reduce((sum, other) => sum + shared(box, other), 0);
    if (taken < least) [best, least] = [box, taken];
  }
  return best;
}
