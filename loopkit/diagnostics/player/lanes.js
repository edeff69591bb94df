// The picture: lanes over a time that is not to scale, since microseconds and seconds must both be seen.
const ROW = 20, LEFT = 92;
const widthOf = (step) => step.kind === "answer" ? 26 : 14 + 17 * Math.log10(1 + step.took / 10);
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
const fit = (canvas, height) => {
  const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth;
  canvas.width = width * ratio; canvas.height = height * ratio; canvas.style.height = height + "px";
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.font = "12px system-ui, 'Noto Sans SC', sans-serif";
  pen.textBaseline = "middle";
  return [pen, width];
};
const clip = (pen, text, width) => {
  if (pen.measureText(text).width <= width) return text;
  while (text && pen.measureText(text + "…").width > width) text = text.slice(0, -1);
  return text ? text + "…" : "";
};
// Which steps are to be seen, and where: the current one stands in the middle.
const layout = (track, pos, width) => {
  const seen = [], middle = LEFT + (width - LEFT) * 0.55;
  let x = middle;
  for (let n = pos; n < track.steps.length && x < width; n++) { const w = widthOf(track.steps[n]); seen.push({ step: track.steps[n], x, w }); x += w; }
  x = middle;
  for (let n = pos - 1; n >= 0 && x > LEFT; n--) { const w = widthOf(track.steps[n]); x -= w; seen.unshift({ step: track.steps[n], x, w }); }
  return seen;
};
const placeOf = (seen) => (time) => {
  let low = 0, high = seen.length - 1;
  if (!seen.length || time < seen[0].step.start) return LEFT;
  while (low < high) { const mid = (low + high + 1) >> 1; if (seen[mid].step.start <= time) low = mid; else high = mid - 1; }
  const { step, x, w } = seen[low];
  return x + (step.took ? w * Math.min((time - step.start) / step.took, 1) : 0);
};
const rowsFor = (names, limit) => {
  const rows = new Map();
  for (const name of names) if (!rows.has(name) && rows.size < limit) rows.set(name, rows.size);
  return rows;
};
const draw = (canvas, track, pos) => {
  const width = canvas.clientWidth, seen = layout(track, pos, width), at = placeOf(seen);
  const calls = seen.filter((item) => item.step.kind === "call");
  const fds = rowsFor(seen.flatMap(({ step }) => step.kind === "answer" ? step.events.map((e) => e.fd) : step.why === "event" ? [step.fd] : []), 6);
  const tasks = rowsFor(["", ...calls.map(({ step }) => step.task)], 8);
  const waits = stack(calls.filter(({ step }) => step.why === "soon" && step.fromFile !== undefined).map((item) => ({ item, from: at(item.step.scheduled), to: item.x })), 4);
  const clocks = stack(calls.filter(({ step }) => step.why === "timer").map((item) => ({ item, from: at(item.step.scheduled), due: at(item.step.start - item.step.late), to: item.x })), 3);
  const lanes = [["poll", 1], ["fds", Math.max(fds.size, 1)], ["ready", Math.max(waits.rows, 1)], ["timers", Math.max(clocks.rows, 1)], ["tasks", tasks.size]];
  let y = 22;
  const top = {};
  for (const [name, rows] of lanes) { top[name] = y; y += rows * ROW + 12; }
  const [pen] = fit(canvas, y);
  const hits = [];
  const box = (item, lane, row, x, w, fill, label) => {
    const bottom = top[lane] + row * ROW, left = Math.max(x, LEFT), room = x + w - left;  // what began before is cut off
    if (room <= 0) return;
    pen.fillStyle = fill; pen.globalAlpha = item.step.pos === pos ? 1 : 0.62;
    pen.beginPath(); pen.roundRect(left, bottom + 2, Math.max(room - 2, 3), ROW - 4, 3); pen.fill();
    pen.globalAlpha = 1;
    if (item.step.pos === pos) { pen.strokeStyle = colour("ink"); pen.lineWidth = 2; pen.stroke(); pen.lineWidth = 1; }
    if (label && room > 24) { pen.fillStyle = colour(item.step.kind === "ask" ? "ink" : "paper"); pen.fillText(clip(pen, label, room - 8), left + 4, bottom + ROW / 2); }
    hits.push({ x: left, y: bottom, w: Math.max(room, 8), h: ROW, pos: item.step.pos });
  };
  // Turns, and the names of the lanes.
  pen.strokeStyle = colour("line"); pen.fillStyle = colour("faint");
  let free = 0;  // from here on a number has room: short turns do without
  for (const item of seen) if (item.step.turn.first === item.step.pos) {
    pen.beginPath(); pen.moveTo(item.x - 1, 4); pen.lineTo(item.x - 1, y); pen.stroke();
    const number = clip(pen, say("turn", item.step.turn.number), 90);
    if (item.x + 3 < Math.max(free, LEFT)) continue;
    pen.fillText(number, item.x + 3, 11);
    free = item.x + 9 + pen.measureText(number).width;
  }
  pen.fillStyle = colour("paper"); pen.fillRect(0, 0, LEFT - 2, y);
  const names = { fds: [...fds.keys()].map((fd) => "fd " + fd), tasks: [...tasks.keys()].map((task) => task || say("plain")) };
  for (const [name, rows] of lanes) {
    pen.strokeStyle = colour("line"); pen.beginPath(); pen.moveTo(0, top[name] - 6); pen.lineTo(width, top[name] - 6); pen.stroke();
    pen.fillStyle = colour("faint");
    const texts = names[name] && names[name].length ? names[name] : [say(name)];
    texts.slice(0, rows).forEach((text, row) => pen.fillText(clip(pen, text, LEFT - 12), 6, top[name] + row * ROW + ROW / 2));
  }
  for (const item of seen) {
    const { step, x, w } = item;
    if (step.kind === "ask") box(item, "poll", 0, x, w, colour("poll"), step.timeout < 0 ? "∞" : step.timeout ? "≤ " + duration(step.timeout) : "0");
    if (step.kind === "answer") {
      box(item, "poll", 0, x, w, colour("event"), String(step.events.length));
      for (const event of step.events) if (fds.has(event.fd)) box(item, "fds", fds.get(event.fd), x, w, colour("event"), event.mask & 1 ? "R" : event.mask & 4 ? "W" : "!");
    }
    if (step.kind === "call") {
      if (tasks.has(step.task)) box(item, "tasks", tasks.get(step.task), x, w, step.took >= 1e6 ? colour("late") : colour("call"), step.name);
      if (step.why === "event" && fds.has(step.fd)) box(item, "fds", fds.get(step.fd), x, w, colour("call"), "");
    }
    if (step.kind === "note") box(item, "tasks", 0, x, w, colour("late"), "!");
  }
  for (const { item, from, to, row } of waits.items) box(item, "ready", row, from, Math.max(to - from, 4), colour("ready"), item.step.name);
  for (const { item, from, due, to, row } of clocks.items) {
    box(item, "timers", row, from, Math.max(due - from, 4), colour("timer"), item.step.name);
    if (to > due) { const left = Math.max(due, LEFT); pen.fillStyle = colour("late"); pen.fillRect(left, top.timers + row * ROW + 8, to - left, 4); }
  }
  arrow(pen, track, pos, seen, at, top, tasks, fds);
  return hits;
};
// Bars that overlap lie below each other, in as few rows as there may be.
const stack = (items, limit) => {
  const ends = [];
  const placed = [];
  for (const item of items) {
    let row = ends.findIndex((end) => end <= item.from);
    if (row < 0) row = ends.length;
    if (row >= limit) continue;
    ends[row] = item.to + 2;
    placed.push({ ...item, row });
  }
  return { items: placed, rows: ends.length };
};
const arrow = (pen, track, pos, seen, at, top, tasks, fds) => {
  const step = track.steps[pos], mine = seen.find((item) => item.step.pos === pos);
  if (step.kind !== "call" || !tasks.has(step.task)) return;
  const y = top.tasks + tasks.get(step.task) * ROW + 3;
  let from = null;
  if (step.why === "event" && fds.has(step.fd)) from = [at(step.poll.start) + 13, top.fds + fds.get(step.fd) * ROW + ROW / 2];
  else if (step.by) {
    const cause = track.calls.get(step.by);
    if (cause) from = [at(step.scheduled), top.tasks + (tasks.get(cause.task) || 0) * ROW + ROW / 2];
  }
  if (!from) return;
  const x = mine.x + 6;
  pen.strokeStyle = pen.fillStyle = colour("ink"); pen.lineWidth = 1.5;
  pen.beginPath(); pen.moveTo(from[0], from[1]); pen.bezierCurveTo(from[0] + 20, from[1] - 26, x - 20, y - 26, x, y); pen.stroke();
  pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x - 6, y - 7); pen.lineTo(x + 3, y - 8); pen.fill();
  pen.lineWidth = 1;
};
const drawOverview = (canvas, track, pos) => {
  const [pen, width] = fit(canvas, 48);
  const turns = track.turns, count = turns.length, columns = Math.min(count, Math.floor(width)), each = width / columns;
  const height = (units) => Math.min(44, 3 + 7 * Math.log10(1 + units / 10));
  for (let column = 0; column < columns; column++) {
    const first = Math.floor(column * count / columns), last = Math.max(Math.floor((column + 1) * count / columns), first + 1);
    let busy = 0, bad = false;
    for (let n = first; n < last; n++) { const b = busyOf(track, turns[n]); if (b.units > busy) busy = b.units; bad = bad || b.bad; }
    pen.fillStyle = busy >= 1e6 || bad ? colour("late") : colour("call");
    pen.fillRect(column * each, 48 - height(busy), Math.max(each - (each > 4 ? 1 : 0), 1), height(busy));
  }
  const here = turns.indexOf(track.steps[pos].turn);
  pen.strokeStyle = colour("ink"); pen.lineWidth = 2;
  pen.strokeRect(Math.max(here * width / count - 2, 1), 1, Math.max(width / count, 1) + 4, 46);
};
const busyOf = (track, turn) => {
  if (turn.busy === undefined) {
    turn.busy = 0; turn.bad = false;
    for (let n = turn.first; n < track.steps.length && track.steps[n].turn === turn; n++) {
      const step = track.steps[n];
      if (step.kind === "call") turn.busy += step.took;
      if (step.notes && step.notes.some((note) => note.kind === "e")) turn.bad = true;
    }
  }
  return { units: turn.busy, bad: turn.bad };
};
