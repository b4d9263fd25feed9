// The row in focus: what it is, its labels, and what speaks for them.

const N_CELLS = 6; // columns that are shown at once; the others are unfolded
const N_NEIGHBOR_TEXT = 240; // characters: of a neighbor the beginning is enough
const FAR = 2; // robust units: one in twenty normal numbers is as far off

function showCard() {
  const card = byId("card");
  if (state.current === null) {
    const nothing = "No label is doubted: there is nothing to review.";
    card.replaceChildren(el("p", {}, rows.length ? "No row fits search and filters." : nothing));
  } else {
    const row = rows[state.current];
    const hidden = isHidden(state.current);
    const seen = el("div", { class: `seen ${data.kind}` }, contentOf(row), verdict(row, hidden));
    card.replaceChildren(heading(row), seen, why(row, hidden));
  }
  showBar();
}

function heading(row) {
  const decided = decisionOf(state.current);
  const place = visible.indexOf(state.current) + 1;
  const name = row.id === String(row.row) ? `Row ${row.row}` : `Row ${row.row} · ${row.id}`;
  return el(
    "div",
    { class: "heading" },
    el("h2", { dir: "auto" }, name),
    muted(`${place} of ${visible.length}`),
    decided ? el("span", { class: `mark ${decided.decision}` }, ...decisionText(decided)) : "",
  );
}

function decisionText({ decision, label }) {
  if (decision === "exclude") return ["excluded"];
  return [decision === "keep" ? "kept as " : "relabeled ", labelElement(label)];
}

function contentOf(row) {
  const seen = seenOf(row.row);
  if (data.kind === "text") {
    const text = seen.text ? seen.text : el("em", {}, "empty text");
    return el("div", { class: "content text", dir: "auto" }, text);
  }
  if (data.kind === "table") return cellsOf(row);
  const caption = seen.name ? el("figcaption", { dir: "auto" }, seen.name) : "";
  return el("figure", { class: "content" }, imageElement(row.row, `row ${row.row}`), caption);
}

function cellsOf(row) {
  const hidden = isHidden(state.current);
  const both = !hidden && row.given !== row.suggested && row.given >= 0;
  const column = (...title) => el("th", { scope: "col" }, ...title);
  const head = () => [
    column("column"),
    column("value"),
    column("usual for ", row.given < 0 ? "all rows" : labelElement(row.given)),
    both ? column("usual for ", labelElement(row.suggested)) : "",
  ];
  const lines = row.cells.map(([name, value, ofGiven, ofSuggested, far, farOther]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, el("bdi", {}, name)),
      el("td", {}, value === "" ? el("em", {}, "missing") : el("bdi", {}, value)),
      usualCell(ofGiven, far),
      both ? usualCell(ofSuggested, farOther) : "",
    ),
  );
  const table = (some) => {
    const titles = el("thead", {}, el("tr", {}, ...head()));
    return el("table", { class: "cells" }, titles, el("tbody", {}, ...some));
  };
  const rest = lines.splice(N_CELLS);
  const more = rest.length
    ? el("details", {}, el("summary", {}, `${rest.length} more columns`), table(rest))
    : "";
  return el("div", { class: "content" }, table(lines), more);
}

function usualCell(text, far) {
  if (text === "") return el("td");
  const off = el("small", {}, `${far.toFixed(1)} off`);
  return el("td", { class: far >= FAR ? "far" : null }, text, " ", off);
}

function verdict(row, hidden) {
  const given = labelBox("Given", row.given, row.given < 0 || hidden ? null : row.pGiven);
  const suggested = hidden
    ? boxOf("Suggested", el("em", {}, "hidden until you decide"))
    : labelBox("Suggested", row.suggested, row.pSuggested);
  suggested.classList.add("suggested");
  return el("div", { class: "verdict" }, given, suggested);
}

const boxOf = (title, name) =>
  el("div", { class: "label-box" }, muted(title), el("strong", {}, name));

function labelBox(title, code, share) {
  const box = boxOf(title, labelElement(code));
  if (share === null) return box;
  const meter = { min: 0, max: 1, value: share, "aria-label": `probability of ${title}` };
  box.append(el("meter", meter), muted(`${percent(share)} likely right`));
  return box;
}

const ACTIONS = {
  drop: "The label is probably wrong, and no other is sure.",
  review: "The label is doubtful, but the data do not tell what is right.",
  label: "The row has no label yet.",
};

function why(row, hidden) {
  const parts = [];
  if (ACTIONS[row.action] && !hidden) parts.push(el("p", {}, ACTIONS[row.action]));
  if (row.neighbors.length) {
    parts.push(el("h3", {}, "Most like it"), el("p", {}, ...tally(row, hidden)));
    const items = row.neighbors.map(([j, label, far]) => neighborItem(row, hidden, j, label, far));
    parts.push(el("ul", { class: `neighbors ${data.kind}` }, ...items));
  }
  return el("div", { class: "why" }, ...parts);
}

function tally(row, hidden) {
  if (hidden) return ["Their labels are hidden until you decide."];
  const n = (code) => row.neighbors.filter(([, label]) => label === code).length;
  const of = (code) => el("b", {}, labelElement(code));
  const some = `${n(row.suggested) || "None"} of ${row.neighbors.length} are labeled `;
  const first = [some, of(row.suggested)];
  if (row.given < 0 || row.given === row.suggested) return [...first, "."];
  return [...first, `, ${n(row.given) || "none"} `, of(row.given), "."];
}

function neighborItem(row, hidden, j, label, far) {
  const side = label === row.suggested ? "for-suggested" : label === row.given ? "for-given" : null;
  const item = el("li", { class: hidden ? null : side });
  if (data.kind === "image") item.append(imageElement(j, `neighbor, row ${j}`));
  if (!hidden) item.append(el("strong", {}, labelElement(label)));
  const id = el("bdi", {}, idOf.get(j) ?? data.ids[j]);
  item.append(muted("row ", id, far === null ? "" : ` · ${far} away`));
  if (data.kind === "text") item.append(el("p", { dir: "auto" }, seenOf(j).text.slice(0, N_NEIGHBOR_TEXT)));
  return item;
}

// The buttons beneath, and which class has which digit.
function showBar() {
  const index = state.current;
  const row = index === null ? null : rows[index];
  const hidden = index !== null && isHidden(index);
  const label = (id, code) => {
    const place = byId(id).querySelector("bdi");
    place.replaceChildren(code === null ? "" : labelElement(code));
  };
  byId("keep").disabled = !row || row.given < 0;
  byId("accept").disabled = !row || hidden;
  for (const id of ["other", "exclude", "next", "previous"]) byId(id).disabled = !row;
  byId("undo").disabled = !state.undone.length;
  label("keep", row && row.given >= 0 ? row.given : null);
  label("accept", row && !hidden ? row.suggested : null);
  const choices = row ? digitsFor(row, hidden) : [];
  byId("choices").replaceChildren(...choices.map((pair) => choiceButton(index, ...pair)));
}

function choiceButton(index, digit, code) {
  const isChosen = decisionOf(index)?.label === code;
  const attributes = { type: "button", "aria-pressed": String(isChosen) };
  const button = el("button", attributes, el("kbd", {}, digit), " ", labelElement(code));
  button.addEventListener("click", () => choose(code));
  return button;
}

const byFrequency = data.classes
  .map((_, code) => code)
  .sort((a, b) => data.counts[b] - data.counts[a]);
const areDigits = data.classes.every((name) => /^\d$/.test(name));

// Return pairs of a digit and a class. Up to ten classes have a digit of their own; of more, those
// that come into question for the row.
function digitsFor(row, hidden) {
  if (areDigits) return data.classes.map((name, code) => [name, code]);
  let codes = data.classes.map((_, code) => code);
  if (codes.length > 10) {
    const near = row.neighbors.map(([, label]) => label);
    const named = hidden ? [row.given, ...byFrequency] : [row.suggested, row.given, ...near];
    codes = [...new Set(named)].filter((code) => code >= 0).slice(0, 10);
  }
  return codes.map((code, place) => [String((place + 1) % 10), code]);
}
