// Elements are made here, and texts from data are put in as texts alone.

const TINY_SIDE = 64; // pixels: as in _thumbnails.py
const byId = (id) => document.getElementById(id);

function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

const muted = (...texts) => el("span", { class: "muted" }, ...texts);

function percent(share) {
  const rounded = Math.round(100 * share);
  if (rounded === 0 && share > 0) return "< 1 %";
  return rounded === 100 && share < 1 ? "> 99 %" : `${rounded} %`;
}

// A class by its name; names that cannot be seen are described.
function labelElement(code) {
  if (code < 0) return el("em", {}, "no label");
  const name = data.classes[code];
  return name.trim() ? el("bdi", {}, name) : el("em", {}, "blank name");
}

const idOf = new Map(rows.map((row) => [row.row, row.id]));
const seenOf = (row) => data.seen[row] ?? {};
const imageOf = (row) => byId(`image-${row}`)?.src ?? seenOf(row).image;

function imageElement(row, alt) {
  const source = imageOf(row);
  if (!source) return el("p", { class: "muted" }, `cannot be read: ${seenOf(row).problem ?? "?"}`);
  const image = el("img", { src: source, alt, decoding: "async" });
  // Few pixels are shown as what they are, not as a blur.
  image.addEventListener("load", () => {
    const side = Math.max(image.naturalWidth, image.naturalHeight);
    image.classList.toggle("pixels", side <= TINY_SIDE);
  });
  return image;
}

function announce(text) {
  byId("live").textContent = text;
}
