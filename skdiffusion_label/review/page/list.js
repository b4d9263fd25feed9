// The list of rows: which are shown, in which order, and which is in focus.

const N_SNIPPET = 80; // characters: a line of the list
let visible = []; // indices of rows, in the order in which they are shown
const buttons = rows.map((row, index) => listButton(row, index));
const haystacks = rows.map((row) => {
  const { text = "", name = "" } = seenOf(row.row);
  const cells = (row.cells ?? []).flatMap(([column, value]) => [column, value]);
  return [row.row, row.id, text, name, ...cells].join("\n");
});

function listButton(row, index) {
  const suggested = { class: "suggested-part" };
  const labels = el(
    "span",
    { class: "labels" },
    labelElement(row.given),
    el("span", suggested, " → "),
    el("span", suggested, labelElement(row.suggested)),
  );
  const text = data.kind === "text" ? (seenOf(row.row).text ?? "").slice(0, N_SNIPPET) : `row ${row.id}`;
  const button = el(
    "button",
    { type: "button", tabindex: -1 },
    data.kind === "image" ? listImage(row) : "",
    el("span", { class: "words" }, labels, el("span", { class: "snippet", dir: "auto" }, text)),
    el("span", { class: "state", "aria-hidden": "true" }),
  );
  button.addEventListener("click", () => {
    if (isNarrow()) byId("list-box").open = false;
    goTo(index);
  });
  return button;
}

function listImage(row) {
  const src = imageOf(row.row);
  return src ? el("img", { src, alt: "", loading: "lazy", decoding: "async" }) : "";
}

const isNarrow = () => matchMedia("(max-width: 760px)").matches;
const MARKS = { keep: "=", relabel: "✓", exclude: "×" };

function showInList(index) {
  const decided = decisionOf(index);
  const button = buttons[index];
  button.classList.toggle("decided", Boolean(decided));
  button.classList.toggle("hides", isHidden(index));
  button.querySelector(".state").textContent = decided ? MARKS[decided.decision] : "";
}

function matches(index, words, code, status) {
  const row = rows[index];
  const hidden = isHidden(index);
  // The row in focus stays although it has just been decided.
  const isOther = index !== state.current;
  if (status && isOther && (status === "decided") !== isDecided(index)) return false;
  const labels = hidden ? [row.given] : [row.given, row.suggested];
  if (code !== "" && !labels.includes(Number(code))) return false;
  const haystack = [haystacks[index], ...labels.map(className)].join("\n").toLowerCase();
  return words.every((word) => haystack.includes(word));
}

// Lay the list out anew. The row in focus stays, if it is still there.
function showList() {
  const words = byId("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  const code = byId("class-filter").value;
  const status = byId("status").value;
  const order = rows.map((_, index) => index);
  if (byId("order").value === "random") order.sort((a, b) => data.shuffled[a] - data.shuffled[b]);
  visible = order.filter((index) => matches(index, words, code, status));
  byId("list").replaceChildren(...visible.map((index) => el("li", {}, buttons[index])));
  byId("n-visible").textContent = `(${visible.length} of ${rows.length})`;
  const place = visible.indexOf(state.current);
  goTo(place >= 0 ? state.current : (visible[0] ?? null));
}

function goTo(index) {
  if (state.current !== null) {
    buttons[state.current].removeAttribute("aria-current");
    buttons[state.current].tabIndex = -1;
  }
  state.current = index;
  if (index !== null) {
    buttons[index].setAttribute("aria-current", "true");
    buttons[index].tabIndex = 0;
    byId("desk").scrollTop = 0;
    if (!isNarrow()) buttons[index].scrollIntoView({ block: "nearest" });
    else if (scrollY > byId("desk").offsetTop) byId("desk").scrollIntoView();
    announceRow(index);
  }
  showCard();
}

function announceRow(index) {
  const row = rows[index];
  const given = `given ${className(row.given) || "no label"}`;
  const suggested = isHidden(index) ? "suggestion hidden" : `suggested ${className(row.suggested)}`;
  announce(`Row ${row.id}: ${given}, ${suggested}. ${nDecided()} of ${rows.length} decided.`);
}

function step(by) {
  if (state.current === null) return;
  const place = visible.indexOf(state.current) + by;
  if (place < 0 || place >= visible.length) announce(by > 0 ? "Last row." : "First row.");
  else goTo(visible[place]);
}

// The next undecided row behind the one in focus, or before it, or null.
function nextOpen() {
  const place = visible.indexOf(state.current);
  const ahead = [...visible.slice(place + 1), ...visible.slice(0, place)];
  return ahead.find((index) => !isDecided(index)) ?? null;
}

function showProgress() {
  const n = nDecided();
  byId("progress").max = rows.length || 1;
  byId("progress").value = n;
  byId("progress-text").textContent = `${n} of ${rows.length} decided`;
  byId("finish").classList.toggle("strong", !state.isSaved);
}
