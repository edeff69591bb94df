// The page at work: one position, everything else follows from it.
const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("recording").textContent);
const tracks = decode(data);
const player = { track: tracks[0], pos: 0, history: [], timer: null, hits: [] };
window.player = player;

const sentence = (step) => {
  if (step.kind === "ask") return say(step.timeout < 0 ? "askForever" : step.timeout ? "askTimeout" : "askNow", duration(step.timeout));
  if (step.kind === "answer") {
    const events = step.events.map((e) => say("event", e.fd, maskWords(e.mask), e.owner));
    return say("answer", duration(step.asked), events.join(say("semicolon")) || say("nothing"));
  }
  if (step.kind === "note") return step.notes.map(noteWords).join(say("semicolon"));
  const what = step.task ? say("callTask", step.task, step.name, duration(step.took)) : say("call", step.name, duration(step.took));
  return what + say("comma") + whyWords(step);
};
const whyWords = (step) => {
  if (step.why === "event") return say("whyEvent", step.fd, maskWords(step.mask)) + say("stop");
  const by = step.by ? say("byStep", step.by) : step.thread ? say("byThread", step.thread) : say("byNone");
  const from = step.fromFile ? ` (${shortName(step.fromFile)}:${step.fromLine})` : "";
  const why = step.why === "timer" ? say("whyTimer", duration(step.late)) : say(step.future ? "whyFuture" : "whySoon", step.future);
  const waited = step.why === "soon" ? say("semicolon") + say("waited", duration(step.start - step.scheduled)) : "";
  return `${why}${say("space")}${by}${from}${waited}${say("stop")}`;
};
const noteWords = (note) => {
  const f = note.facts;
  return { w: () => say("wrote", ...f), o: () => say("opened", ...f), x: () => say("closed", f[0]), b: () => say("begins", f[0]), d: () => say(f[1] ? "wasCancelled" : "ended", f[0]), g: () => say("gc", duration(f[0]), f[1]),
    e: () => say("error", f[0]), m: () => say("mark", f[0]), s: () => say("seenIn", f[0], shortName(f[1]), f[2]) }[note.kind]?.() || "";
};
const shortName = (file) => file.split("/").slice(-2).join("/");

const counted = (texts) => texts.reduce((counts, text) => counts.set(text, (counts.get(text) || 0) + 1), new Map());

const showSource = (call) => {
  // Where somebody saw it is more than where it began.
  const seen = call.notes.find((note) => note.kind === "s");
  const step = seen ? { file: seen.facts[1], line: seen.facts[2] } : call;
  const pre = byId("source"), file = step.file;
  pre.textContent = "";
  const add = (className, text, parent = pre) => { const span = document.createElement("span"); span.className = className; span.textContent = text; parent.append(span); return span; };
  if (!file) { add("file", say("noSource")); return; }
  add("file", `${shortName(file)}:${step.line}`).title = file;
  const lines = data.lines[file] || {};
  for (let n = step.line - 4; n <= step.line + 4; n++) {
    if (lines[n] === undefined) continue;
    const row = add(n === step.line ? "row here" : "row", "");
    const number = document.createElement("i"); number.textContent = n; row.append(number, lines[n] || " ");
  }
};
const showChain = (step) => {
  const home = byId("chain");
  home.textContent = "";
  if (step.kind !== "call") return;
  const found = causes(player.track, step);
  const title = document.createElement("h2"); title.textContent = say("chain"); home.append(title);
  if (!found.length) { const p = document.createElement("p"); p.textContent = step.by || step.why === "event" ? say("root") : whyWords(step); home.append(p); }
  for (const cause of found) {
    const button = document.createElement("button");
    button.textContent = cause.kind === "answer" ? `↑ ${say("chainPoll", cause.turn.number)}${say("colon")}${sentence(cause)}` : `↑ #${cause.number} ${cause.task ? cause.task + ": " : ""}${cause.name}`;
    button.onclick = () => jump(cause.pos);
    home.append(button);
  }
};
const show = () => {
  const { track } = player, steps = track.steps;
  if (!steps.length) { byId("sentence").textContent = say("empty"); return; }
  player.pos = Math.max(0, Math.min(player.pos, steps.length - 1));
  const step = steps[player.pos];
  player.hits = draw(byId("lanes"), track, player.pos);
  drawOverview(byId("overview"), track, player.pos);
  byId("place").textContent = say("place", step.turn.number, track.dropped + track.turns.length, player.pos + 1, steps.length, (step.start / 1e7).toFixed(6) + " s");
  byId("sentence").textContent = sentence(step);
  const notes = byId("notes");
  notes.textContent = "";
  const texts = step.kind === "call" ? step.notes.map(noteWords) : step.kind === "ask" ? [say("state", step.turn.ready, step.turn.timers, step.turn.watched)] : [];
  for (const [text, times] of counted(texts)) { const li = document.createElement("li"); li.textContent = text + (times > 1 ? say("times", times) : ""); notes.append(li); }
  showChain(step);
  if (step.kind === "call") showSource(step);
  byId("why").disabled = !causes(track, step).length;
  byId("return").disabled = !player.history.length;
};
const go = (pos) => { player.pos = pos; show(); };
const jump = (pos) => { player.history.push(player.pos); go(pos); };
const turnBy = (by) => {
  const { turns, steps } = player.track, here = turns.indexOf(steps[player.pos].turn);
  for (let n = here + by; n >= 0 && n < turns.length; n += by) if (turns[n].first < steps.length && steps[turns[n].first].turn === turns[n]) return go(turns[n].first);
};
const slowest = () => {
  let best = null;
  for (const call of player.track.calls.values()) if (!best || call.took > best.took) best = call;
  if (best) jump(best.pos);
};
const why = () => { const found = causes(player.track, player.track.steps[player.pos]); if (found.length) jump(found[0].pos); };
const goBack = () => { if (player.history.length) go(player.history.pop()); };
const playing = (on) => {
  clearTimeout(player.timer);
  player.timer = null;
  byId("play").textContent = on ? "❚❚" : "▶▶";
  if (!on) return;
  const tick = () => {
    if (player.pos >= player.track.steps.length - 1) return playing(false);
    go(player.pos + 1);
    player.timer = setTimeout(tick, 2000 / Math.pow(2, byId("speed").value));
  };
  player.timer = setTimeout(tick, 200);
};
const setLanguage = (name) => {
  language = name;
  document.documentElement.lang = name === "zh" ? "zh-CN" : "en";
  byId("language").textContent = say("other");
  for (const element of document.querySelectorAll("[data-text]")) element.textContent = say(element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) { element.title = say(element.dataset.label); element.setAttribute("aria-label", say(element.dataset.label)); }
  byId("keys").textContent = "";
  for (const [key, text] of say("keys")) {
    const row = byId("keys").insertRow(), kbd = document.createElement("kbd");
    kbd.textContent = key; row.insertCell().append(kbd); row.insertCell().textContent = text;
  }
  const about = Object.entries(data.about).filter(([key]) => key !== "program").map(([, value]) => value);
  byId("facts").textContent = (player.track.dropped ? say("dropped", player.track.dropped) : "") + about.join(" · ");
  showFindings();
  show();
};
const showFindings = () => {
  const home = byId("findings"), list = home.querySelector("ul"), found = player.track.findings;
  home.hidden = !found.length;
  home.querySelector("summary").textContent = say("findings", found.length);
  list.textContent = "";
  for (const [kind, text, where, number, parts] of found) {
    const li = document.createElement("li"), button = document.createElement("button");
    button.textContent = `${say("kinds")[kind] || kind}${say("colon")}${foundWords(kind, parts) || text}${where ? ` (${shortName(where)})` : ""}`;
    button.onclick = () => { const call = player.track.calls.get(number); if (call) jump(call.pos); };
    li.append(button); list.append(li);
  }
};
const foundWords = (kind, parts) => {
  const text = language !== "en" && say("found")[kind];  // the recording has the English itself
  return text && parts && text.replace(/%(\d)(?:\[(.*?)\])?/g, (_, n, more) => more === undefined ? parts[n] : parts[n] ? more.replace("%", parts[n]) : "");
};
const setTheme = () => {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  show();
};

const actions = { first: () => go(0), last: () => go(player.track.steps.length - 1), back: () => go(player.pos - 1), forward: () => go(player.pos + 1),
  "back-turn": () => turnBy(-1), "next-turn": () => turnBy(1), play: () => playing(!player.timer), slowest, why, return: goBack,
  language: () => setLanguage(language === "en" ? "zh" : "en"), theme: setTheme, "help-open": () => byId("help").showModal() };
for (const [id, action] of Object.entries(actions)) byId(id).onclick = () => { if (id !== "play") playing(false); action(); };
const keys = { ArrowLeft: "back", ArrowRight: "forward", " ": "play", Home: "first", End: "last", s: "slowest", w: "why", r: "return", l: "language", t: "theme", "?": "help-open" };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open || event.target.matches("input, select")) return;
  let id = keys[event.key];
  if (event.shiftKey && event.key === "ArrowLeft") id = "back-turn";
  if (event.shiftKey && event.key === "ArrowRight") id = "next-turn";
  if (event.key === "+" || event.key === "-") byId("speed").value = Number(byId("speed").value) + (event.key === "+" ? 1 : -1);
  if (!id || (event.key === " " && event.target.matches("button"))) return;
  event.preventDefault();
  byId(id).click();
});
byId("lanes").addEventListener("click", (event) => {
  const found = player.hits.filter((hit) => event.offsetX >= hit.x && event.offsetX <= hit.x + hit.w && event.offsetY >= hit.y && event.offsetY <= hit.y + hit.h);
  if (found.length) jump(found[found.length - 1].pos);
});
const seek = (event) => {
  const { turns } = player.track, n = Math.floor(event.offsetX / byId("overview").clientWidth * turns.length);
  go(turns[Math.max(0, Math.min(n, turns.length - 1))].first);
};
byId("overview").addEventListener("pointerdown", seek);
byId("overview").addEventListener("pointermove", (event) => { if (event.buttons) seek(event); });
addEventListener("resize", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
byId("program").textContent = data.about.title || data.about.program;
document.title = byId("program").textContent + " · loopkit";
if (tracks.length > 1) {
  const select = byId("loops");
  select.hidden = false;
  tracks.forEach((track, n) => { const option = document.createElement("option"); option.value = n; option.textContent = track.name; select.append(option); });
  select.onchange = () => { playing(false); Object.assign(player, { track: tracks[select.value], pos: 0, history: [] }); setLanguage(language); };
}
byId("findings").open = innerWidth > 720;  // on a phone the picture comes first
const wanted = new URLSearchParams(location.hash.slice(1));
if (wanted.get("theme")) document.documentElement.dataset.theme = wanted.get("theme");
player.pos = Number(wanted.get("step") || 1) - 1;
setLanguage(wanted.get("lang") || (navigator.language || "").startsWith("zh") && "zh" || "en");
