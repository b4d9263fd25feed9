// Keys, and what they do.

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

const REPEATED = new Set(["n", "p", "arrowright", "arrowleft"]);

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
  if (isTyping || isOpen || !state.usesKeys) return;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const key = event.key.toLowerCase();
  if (event.repeat && !REPEATED.has(key)) return; // a key held down decides one row
  const command = /^\d$/.test(key) ? () => chooseDigit(key) : commands[key];
  if (!command) return;
  event.preventDefault();
  command();
}
