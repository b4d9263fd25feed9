// The dialogs: type-ahead and summary.

// Type-ahead: the name that is typed, names that begin with it, names with a word that begins with
// it, and names that contain it; of these the frequent and the short ones first.
const N_MATCHES = 8;
let found = [];
let active = 0;

function openTypeAhead() {
  if (state.current === null) return;
  byId("type").value = "";
  byId("type-dialog").showModal();
  findClasses();
  byId("type").focus();
}

function findClasses() {
  const text = byId("type").value.trim().toLowerCase();
  const names = data.classes.map((name) => name.toLowerCase());
  const fit = (name) =>
    (name.trim() === text) + name.startsWith(text) + ` ${name}`.includes(` ${text}`);
  const order = (a, b) =>
    fit(names[b]) - fit(names[a]) ||
    data.counts[b] - data.counts[a] ||
    names[a].length - names[b].length;
  found = byFrequency.filter((code) => names[code].includes(text)).sort(order).slice(0, N_MATCHES);
  active = 0;
  showMatches();
}

function showMatches() {
  const options = found.map((code, place) => {
    const isActive = String(place === active);
    const attributes = { role: "option", id: `match-${place}`, "aria-selected": isActive };
    const option = el("li", attributes, labelElement(code));
    option.addEventListener("click", () => closeTypeAhead(code));
    return option;
  });
  const none = el("li", { class: "muted" }, "no class has such a name");
  byId("matches").replaceChildren(...(options.length ? options : [none]));
  byId("type").setAttribute("aria-activedescendant", options.length ? `match-${active}` : "");
}

function closeTypeAhead(code) {
  byId("type-dialog").close();
  choose(code);
}

function onTypeKey(event) {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    active = (active + (event.key === "ArrowDown" ? 1 : -1) + found.length) % (found.length || 1);
    showMatches();
  } else if (event.key === "Enter" && found.length) {
    event.preventDefault();
    closeTypeAhead(found[active]);
  }
}

function openSummary() {
  const counts = { keep: 0, relabel: 0, exclude: 0 };
  const all = records();
  for (const { decision } of all) counts[decision] += 1;
  const accepted = all.filter((one) => one.decision === "relabel" && one.label === one.suggested);
  const figures = [
    ["decided", `${all.length} of ${rows.length}`],
    ["kept", counts.keep],
    ["relabeled", `${counts.relabel}, ${accepted.length} as suggested`],
    ["excluded", counts.exclude],
  ];
  const pairs = figures.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, `${value}`)]);
  byId("figures").replaceChildren(...pairs);
  byId("controls-result").textContent = controlsText();
  byId("reviewer").value = state.reviewer;
  document.querySelector("#summary .file-name").textContent = fileName(".csv");
  if (!byId("summary").open) byId("summary").showModal();
}

function controlsText() {
  const planted = rows.filter((row) => row.control).length;
  if (!planted) return "";
  const error = errorOnControls();
  if (!error) return "None of the planted controls has been decided yet.";
  const { n, wrong, low, high } = error;
  const were = wrong === 1 ? "was" : "were";
  const result = `Of ${n} planted controls, ${wrong} ${were} decided wrongly`;
  const range = `95 % interval ${percent(low)} to ${percent(high)}`;
  return `${result}: you err in about ${percent(wrong / n)} of rows (${range}).`;
}
