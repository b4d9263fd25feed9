// Keys and buttons, and the dialogs.

function choose(label) {
  const index = state.current;
  if (index === null) return;
  const wasHidden = isHidden(index);
  decide(index, label);
  showInList(index);
  showProgress();
  const next = nextOpen();
  // Who decides blindly sees afterwards what was suggested.
  if (wasHidden || next === null) showCard();
  else goTo(next);
  if (next === null) {
    announce("All rows shown are decided.");
    if (nDecided() === rows.length) openSummary();
  }
  if (byId("status").value) showList();
}

function chooseDigit(digit) {
  const index = state.current;
  if (index === null) return;
  const pair = digitsFor(rows[index], isHidden(index)).find(([key]) => key === digit);
  if (pair) choose(pair[1]);
}

const commands = {
  k: () => !byId("keep").disabled && choose(rows[state.current].given),
  a: () => !byId("accept").disabled && choose(rows[state.current].suggested),
  x: () => choose(null),
  t: openTypeAhead,
  u: takeBack,
  n: () => step(1),
  p: () => step(-1),
  arrowright: () => step(1),
  arrowleft: () => step(-1),
  "/": () => {
    byId("list-box").open = true;
    byId("search").focus();
  },
  b: () => setBlind(!state.isBlind),
  d: openSummary,
  "?": () => byId("help").showModal(),
};

function takeBack() {
  const index = undo();
  if (index === null) return;
  showInList(index);
  showProgress();
  if (byId("status").value) showList();
  if (!visible.includes(index)) clearFilters();
  goTo(index);
  announce(`Taken back: row ${rows[index].id}.`);
}

function clearFilters() {
  for (const id of ["search", "class-filter", "status"]) byId(id).value = "";
  showList();
}

function setBlind(isBlind) {
  state.isBlind = isBlind;
  byId("blind").checked = isBlind;
  rows.forEach((_, index) => showInList(index));
  showList();
}

function onKey(event) {
  const isTyping = event.target.closest("input:not([type=checkbox]), select, textarea");
  const isOpen = document.querySelector("dialog[open]");
  if (event.key === "Escape" && event.target.closest("#filters")) event.target.blur();
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z" && !isTyping && !isOpen) {
    event.preventDefault();
    takeBack();
  }
  if (isTyping || isOpen || event.ctrlKey || event.metaKey || event.altKey || !state.usesKeys) return;
  const key = event.key.toLowerCase();
  const command = /^\d$/.test(key) ? () => chooseDigit(key) : commands[key];
  if (!command) return;
  event.preventDefault();
  command();
}

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
  const fits = (name) => [name.trim() === text, name.startsWith(text), name.includes(` ${text}`), name.includes(text)].indexOf(true);
  const order = (a, b) => fits(names[a]) - fits(names[b]) || data.counts[b] - data.counts[a] || names[a].length - names[b].length;
  found = byFrequency.filter((code) => names[code].includes(text)).sort(order).slice(0, N_MATCHES);
  active = 0;
  showMatches();
}

function showMatches() {
  const options = found.map((code, place) => {
    const option = el("li", { role: "option", id: `match-${place}`, "aria-selected": String(place === active) }, labelElement(code));
    option.addEventListener("click", () => closeTypeAhead(code));
    return option;
  });
  byId("matches").replaceChildren(...(options.length ? options : [el("li", { class: "muted" }, "no class has such a name")]));
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
  const accepted = all.filter(({ decision, label, suggested }) => decision === "relabel" && label === suggested).length;
  const figures = [
    ["decided", `${all.length} of ${rows.length}`],
    ["kept", counts.keep],
    ["relabeled", `${counts.relabel}, ${accepted} as suggested`],
    ["excluded", counts.exclude],
  ];
  byId("figures").replaceChildren(...figures.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, String(value))]));
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
  const range = `${percent(error.low)} to ${percent(error.high)}`;
  return `Of ${error.n} planted controls, ${error.wrong} ${error.wrong === 1 ? "was" : "were"} decided wrongly: you err in about ${percent(error.wrong / error.n)} of rows (95 % interval ${range}).`;
}

function start() {
  recall();
  for (const element of document.querySelectorAll(".script-only")) element.hidden = false;
  byId("static").hidden = true;
  const options = data.classes.map((name, code) => el("option", { value: code }, name.trim() ? name : "blank name"));
  byId("class-filter").append(...options);
  const planted = rows.filter((row) => row.control).length;
  const left = data.n_doubted - (rows.length - planted);
  if (left) byId("rest").textContent = `${left} less suspicious rows are not on this page: write_review takes more max_rows.`;
  byId("about-controls").hidden = !planted;
  byId("about-controls").textContent = `${planted} of the rows are controls: their labels are certainly right, and their suggestions are made up. They show how often a reviewer errs.`;
  if (isNarrow()) byId("list-box").open = false;
  connect();
  rows.forEach((_, index) => showInList(index));
  byId("blind").checked = state.isBlind;
  state.current = rows.findIndex((_, index) => !isDecided(index));
  if (state.current < 0) state.current = rows.length ? 0 : null;
  showList();
  showProgress();
}

function connect() {
  const onClick = { keep: "k", accept: "a", other: "t", exclude: "x", previous: "p", next: "n", undo: "u", finish: "d", "help-button": "?" };
  for (const [id, key] of Object.entries(onClick)) byId(id).addEventListener("click", commands[key]);
  byId("blind").addEventListener("change", (event) => setBlind(event.target.checked));
  byId("use-keys").addEventListener("change", (event) => (state.usesKeys = event.target.checked));
  byId("search").addEventListener("input", showList);
  for (const id of ["class-filter", "status", "order"]) {
    byId(id).addEventListener("change", ({ target }) => {
      showList();
      if (!target.matches(":focus-visible")) target.blur(); // chosen by mouse: back to the keys
    });
  }
  byId("filters").addEventListener("submit", (event) => {
    event.preventDefault();
    byId("search").blur();
  });
  byId("type").addEventListener("input", findClasses);
  byId("type").addEventListener("keydown", onTypeKey);
  byId("reviewer").addEventListener("input", (event) => {
    state.reviewer = event.target.value.trim();
    document.querySelector("#summary .file-name").textContent = fileName(".csv");
    remember();
  });
  for (const extension of [".csv", ".json"]) {
    byId(`download-${extension.slice(1)}`).addEventListener("click", () => {
      download(extension);
      showProgress();
      announce("Downloaded.");
    });
  }
  document.addEventListener("keydown", onKey);
  addEventListener("beforeunload", (event) => {
    if (!state.isSaved) event.preventDefault();
  });
}

start();
