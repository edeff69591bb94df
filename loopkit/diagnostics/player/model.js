// The recording, decoded: see tracefile.py for its form. Times are units of 100 ns.
const decode = (data) => data.loops.map((loop) => {
  const text = (n) => data.strings[n];
  const track = { name: loop.name, dropped: loop.dropped, turns: [], calls: new Map(), steps: [], findings: loop.findings || [] };
  let at = 0, number = loop.first - 1, turn = null, call = null, poll = null;
  const push = (step) => { step.turn = turn; step.pos = track.steps.length; track.steps.push(step); };
  for (const row of loop.steps) {
    at += row[1];
    if (row[0] === "t") {
      turn = { number: loop.dropped + track.turns.length + 1, start: at, end: at, ready: row[2], timers: row[3], watched: row[4], first: track.steps.length };
      track.turns.push(turn);
      call = null;
    } else if (row[0] === "p") {
      const events = [];
      for (let n = 4; n < row.length; n += 3) events.push({ fd: row[n], mask: row[n + 1], owner: text(row[n + 2]) });
      push({ kind: "ask", start: at, took: row[2], timeout: row[3] });
      poll = { kind: "answer", start: at + row[2], took: 0, asked: row[2], events };
      push(poll);
    } else if (row[0] === "c") {
      number += 1;
      call = { kind: "call", start: at, took: row[2], number, name: text(row[3]), file: text(row[4]), line: row[5], task: text(row[6]), notes: [], by: 0 };
      if (row[7] === 0) Object.assign(call, { why: "event", fd: row[8], mask: row[9], poll });
      else {
        const timer = row[7] === 1, n = timer ? 9 : 8;
        Object.assign(call, { why: timer ? "timer" : "soon", late: timer ? row[8] : 0, by: row[n] ? number - row[n] : 0,
          fromFile: text(row[n + 1]), fromLine: row[n + 2], scheduled: at - row[n + 3],
          future: timer ? "" : text(row[n + 4]), thread: timer ? "" : text(row[n + 5]) });
      }
      track.calls.set(number, call);
      push(call);
    } else if (turn) {
      const note = { kind: row[0], at, facts: row.slice(2) };
      if ("oembd".includes(row[0])) note.facts[row[0] === "o" ? 1 : 0] = text(row[row[0] === "o" ? 3 : 2]);
      if (row[0] === "s") note.facts = [text(row[2]), text(row[3]), row[4]];
      if (call && at <= call.start + call.took) call.notes.push(note);
      else push({ kind: "note", start: at, took: 0, notes: [note] });
    }
    if (turn) turn.end = Math.max(turn.end, at + ("pcg".includes(row[0]) ? row[2] : 0));
  }
  return track;
});
// The callbacks that led to a step, nearest first; the last may be the poll that began it all.
const causes = (track, step) => {
  const found = [];
  let now = step;
  while (now && found.length < 12) {
    if (now.kind !== "call") break;
    const next = now.why === "event" ? now.poll : track.calls.get(now.by);
    if (!next || next.pos >= now.pos) break;
    found.push(next);
    now = next;
  }
  return found;
};
