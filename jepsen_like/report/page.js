"use strict";
// Draws the timeline and the latency scatter of a run on two canvases. Only what lies in the viewport is drawn, and at most one
// bar per pixel and lane, so that the cost of a frame follows the screen and not the history.
(function () {
  const source = document.getElementById("data");
  if (!source) return;
  let data;
  try { data = JSON.parse(source.textContent); } catch (error) { return; }

  function unpack(text) {
    const raw = atob(text);
    const values = new Float64Array(data.count);
    let place = 0, at = 0;
    while (at < raw.length && place < data.count) {
      let value = 0, scale = 1, byte;
      do { byte = raw.charCodeAt(at++); value += (byte & 127) * scale; scale *= 128; } while (byte > 127);
      values[place++] = value;
    }
    return values;
  }

  const packed = data.columns, n = data.count;
  const at = unpack(packed.at), took = unpack(packed.took), lane = unpack(packed.lane), call = unpack(packed.call);
  const key = unpack(packed.key), member = unpack(packed.member), error = unpack(packed.error), revision = unpack(packed.revision);
  for (let i = 1; i < n; i++) at[i] += at[i - 1];
  for (let i = 0, last = 0; i < n; i++) {
    if (revision[i]) { last += revision[i] % 2 ? -(revision[i] + 1) / 2 : revision[i] / 2; revision[i] = last; }
  }
  // Per lane: the operations in order, and those without success apart, so that skipping to the next pixel never hides one.
  const lanes = [];
  for (let i = 0; i < data.lanes; i++) lanes.push({ good: [], odd: [] });
  for (let i = 0; i < n; i++) lanes[lane[i]][call[i] % 3 ? "odd" : "good"].push(i);

  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue("--" + name).trim();
  const outcome = ["ok", "unknown", "fail"];
  const families = [...new Set(data.faults.map((fault) => fault[1]))].sort();
  const faultColour = (fault) => colour("f" + (families.indexOf(fault[1]) % 8));

  const names = [];
  // A link, "n1->n2", shows at both its ends.
  const add = (name) => { if (name && !/->/.test(name) && !names.includes(name)) names.push(name); };
  const hits = (target, name) => target === name || (target.includes("->") && target.split("->").includes(name));
  data.members.forEach(add);
  data.leaders.forEach((mark) => add(mark[0]));
  data.states.forEach((mark) => add(mark[0]));
  data.faults.forEach((fault) => fault[2].forEach((target) => target.split("->").forEach(add)));
  names.sort();

  const time = (us) => (us >= 1e6 ? (us / 1e6).toFixed(3) + " s" : us >= 1000 ? (us / 1000).toFixed(2) + " ms" : us.toFixed(0) + " µs");

  function firstEndingAfter(list, when) {
    // Operations of one lane do not overlap, so their ends are in order, too.
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at[list[middle]] + took[list[middle]] < when) low = middle + 1; else high = middle;
    }
    return low;
  }

  function firstFrom(when) {
    let low = 0, high = n;
    while (low < high) { const middle = (low + high) >> 1; if (at[middle] < when) low = middle + 1; else high = middle; }
    return low;
  }

  const view = { from: 0, to: Math.max(data.end, 1), lane: 0 };
  const painters = [];
  let waiting = false;
  function redraw() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; painters.forEach((paint) => paint()); });
  }
  function look(from, to) {
    const least = 5, most = Math.max(data.end, 1) * 1.02;
    const length = Math.min(Math.max(to - from, least), most);
    const middle = (from + to) / 2;
    view.from = Math.min(Math.max(middle - length / 2, -most * 0.02), most - length);
    view.to = view.from + length;
    redraw();
  }
  window.look = look;

  function surface(id, height, paint, pick) {
    const box = document.getElementById(id);
    if (!box) return;
    const canvas = box.querySelector("canvas"), tip = box.querySelector(".tip-box");
    const brush = canvas.getContext("2d");
    const left = 76;
    const state = { width: 0, height: height, left: left, x: (us) => left + ((us - view.from) / (view.to - view.from)) * (state.width - left) };
    painters.push(() => {
      const ratio = window.devicePixelRatio || 1, width = box.clientWidth, tall = typeof height === "function" ? height() : height;
      state.width = width; state.height = tall;
      canvas.width = width * ratio; canvas.height = tall * ratio; canvas.style.height = tall + "px";
      brush.setTransform(ratio, 0, 0, ratio, 0, 0);
      brush.clearRect(0, 0, width, tall);
      brush.font = "11px system-ui,sans-serif";
      paint(brush, state);
    });
    const when = (x) => view.from + ((x - left) / (state.width - left)) * (view.to - view.from);
    const fingers = new Map();
    let moved = 0;
    canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); fingers.set(event.pointerId, event); moved = 0; });
    canvas.addEventListener("pointermove", (event) => {
      const before = fingers.get(event.pointerId);
      if (before && fingers.size === 1) {
        const shift = ((event.clientX - before.clientX) / (state.width - left)) * (view.to - view.from);
        moved += Math.abs(event.clientX - before.clientX);
        look(view.from - shift, view.to - shift);
        fingers.set(event.pointerId, event);
      } else if (before && fingers.size === 2) {
        const other = [...fingers.values()].find((one) => one.pointerId !== event.pointerId);
        const apart = Math.abs(before.clientX - other.clientX) || 1, now = Math.abs(event.clientX - other.clientX) || 1;
        const middle = (view.from + view.to) / 2, half = ((view.to - view.from) / 2) * (apart / now);
        look(middle - half, middle + half);
        fingers.set(event.pointerId, event);
      } else { show(event); }
    });
    const gone = (event) => { if (fingers.delete(event.pointerId) && moved < 6) show(event); };
    canvas.addEventListener("pointerup", gone);
    canvas.addEventListener("pointercancel", (event) => fingers.delete(event.pointerId));
    canvas.addEventListener("pointerleave", () => { tip.style.display = "none"; });
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.shiftKey && Math.abs(event.deltaX) < Math.abs(event.deltaY) && !event.altKey) {
        event.preventDefault();
        const place = when(event.offsetX), scale = Math.exp(event.deltaY * 0.0015);
        look(place - (place - view.from) * scale, place + (view.to - place) * scale);
      } else {
        event.preventDefault();
        const shift = ((event.deltaX || event.deltaY) / state.width) * (view.to - view.from);
        look(view.from + shift, view.to + shift);
      }
    }, { passive: false });
    canvas.addEventListener("dblclick", (event) => { const place = when(event.offsetX), half = (view.to - view.from) / 8; look(place - half, place + half); });
    function show(event) {
      const text = pick(event.offsetX, event.offsetY, state, when);
      tip.style.display = text ? "block" : "none";
      if (!text) return;
      tip.textContent = text;
      tip.style.left = Math.max(0, Math.min(event.offsetX + 12, state.width - 330)) + "px";
      tip.style.top = event.offsetY + 14 + "px";
    }
  }

  function told(i) {
    const lines = [data.calls[Math.floor(call[i] / 3)] + " " + data.keys[key[i]] + " · " + outcome[call[i] % 3]];
    if (data.details[i]) lines.push(data.details[i]);
    lines.push("at " + time(at[i]) + ", took " + time(took[i]));
    if (revision[i]) lines.push("revision " + revision[i]);
    if (member[i]) lines.push("member " + data.members[member[i]]);
    if (error[i]) lines.push(data.errors[error[i]]);
    data.faults.forEach((fault) => { if (fault[3] <= at[i] + took[i] && fault[4] >= at[i]) lines.push("during " + fault[0] + " " + fault[2].join(" ")); });
    return lines.slice(0, 9).join("\n");
  }

  function shade(brush, state) {
    data.faults.forEach((fault) => {
      const x1 = Math.max(state.x(fault[3]), state.left), x2 = Math.min(state.x(fault[4]), state.width);
      if (x2 < state.left || x1 > state.width) return;
      brush.globalAlpha = 0.15; brush.fillStyle = faultColour(fault);
      brush.fillRect(x1, 0, Math.max(x2 - x1, 1.5), state.height);
      brush.globalAlpha = 1;
    });
  }

  function axis(brush, state) {
    const step = Math.pow(10, Math.floor(Math.log10((view.to - view.from) / 3)));
    const each = (view.to - view.from) / step > 12 ? step * 2 : step;
    brush.fillStyle = colour("dim"); brush.strokeStyle = colour("rule"); brush.textAlign = "center";
    for (let tick = Math.ceil(Math.max(view.from, 0) / each) * each; tick <= view.to; tick += each) {
      const x = state.x(tick);
      if (x < state.left) continue;
      brush.beginPath(); brush.moveTo(x, 16); brush.lineTo(x, state.height); brush.stroke();
      brush.fillText(time(tick), x, 11);
    }
    brush.textAlign = "left";
  }

  const top = 20, memberTall = 20, laneTall = 15, shown = 28;
  const laneTop = () => top + names.length * memberTall + 6;
  const visible = () => Math.min(shown, data.lanes);
  let drawn = 0;
  window.drawn = () => drawn;

  function drawLane(brush, state, list, y, tall) {
    for (let place = firstEndingAfter(list, view.from); place < list.length;) {
      const i = list[place];
      if (at[i] > view.to) break;
      const x1 = Math.max(state.x(at[i]), state.left), x2 = Math.min(state.x(at[i] + took[i]), state.width);
      const kind = call[i] % 3, wide = Math.max(x2 - x1, 1);
      brush.fillStyle = colours[kind];
      // From afar an odd call takes the lower half of its pixel, so that the good ones beside it stay in sight.
      if (kind === 0) brush.fillRect(x1, y, wide, tall);
      else if (wide <= 2) brush.fillRect(x1, y + tall / 2, 1, tall / 2);
      else if (kind === 1) { brush.fillRect(x1, y, Math.max(wide, 2), tall); brush.fillRect(x1, y + tall / 2 - 1, wide + 8, 2); }
      else brush.fillRect(x1, y + tall / 2, Math.max(wide, 2), tall / 2);
      drawn++;
      if (wide > 46 && tall > 9) { brush.fillStyle = colours[3]; brush.fillText((data.calls[Math.floor(call[i] / 3)] + " " + data.keys[key[i]]).slice(0, Math.floor(wide / 7)), x1 + 2, y + tall - 2); }
      if (wide <= 1.5) {
        const next = view.from + ((x1 + 1 - state.left) / (state.width - state.left)) * (view.to - view.from);
        const jump = firstEndingAfter(list, next);
        place = jump > place ? jump : place + 1;
      } else place++;
    }
  }

  let colours = [];
  surface("timeline", () => laneTop() + visible() * laneTall + 4, (brush, state) => {
    colours = [colour("ok"), colour("unknown"), colour("fail"), colour("paper")];
    drawn = 0;
    shade(brush, state); axis(brush, state);
    names.forEach((name, place) => {
      const y = top + place * memberTall;
      brush.fillStyle = colour("ink"); brush.fillText(name.slice(0, 11), 2, y + 13);
      const bar = (mark, fill, text, high) => {
        const x1 = Math.max(state.x(mark[2]), state.left), x2 = Math.min(state.x(mark[3]), state.width);
        if (x2 < state.left || x1 > state.width) return;
        brush.fillStyle = fill; brush.fillRect(x1, y + high, Math.max(x2 - x1, 3), memberTall - 4 - high);
        if (x2 - x1 > 30) { brush.fillStyle = colour("paper"); brush.fillText(text.slice(0, Math.floor((x2 - x1) / 6)), x1 + 3, y + 12); }
      };
      data.leaders.forEach((mark) => { if (mark[0] === name) bar(mark, colour("s4"), "leader " + mark[1], 0); });
      data.states.forEach((mark) => { if (hits(mark[0], name)) bar(mark, colour("s8"), String(mark[1]), 0); });
      data.faults.forEach((fault) => {
        if (fault[2].some((target) => hits(target, name))) bar([0, 0, fault[3], fault[4]], faultColour(fault), fault[0], 3);
      });
    });
    for (let row = 0; row < visible(); row++) {
      const number = view.lane + row, y = laneTop() + row * laneTall;
      if (!lanes[number]) break;
      brush.fillStyle = colour("dim"); brush.fillText("client " + number, 2, y + 11);
      drawLane(brush, state, lanes[number].good, y + 2, laneTall - 4);
      drawLane(brush, state, lanes[number].odd, y + 1, laneTall - 2);
    }
    brush.strokeStyle = colour("bad"); brush.lineWidth = 1.5;
    data.anomalies.forEach((one) => {
      const x1 = state.x(one[1]), x2 = state.x(one[2]);
      if (x2 >= state.left && x1 <= state.width) brush.strokeRect(x1 - 1, top - 3, Math.max(x2 - x1, 2) + 2, state.height - top + 2);
    });
    brush.lineWidth = 1;
  }, (x, y, state, when) => {
    const moment = when(x), slack = ((view.to - view.from) / state.width) * 3;
    if (y < laneTop()) {
      const name = names[Math.floor((y - top) / memberTall)];
      const lines = [];
      data.leaders.forEach((mark) => { if (mark[0] === name && mark[2] - slack <= moment && mark[3] + slack >= moment) lines.push("leader of term " + mark[1]); });
      data.states.forEach((mark) => { if (name && hits(mark[0], name) && mark[2] - slack <= moment && mark[3] + slack >= moment) lines.push(String(mark[1])); });
      data.faults.forEach((fault) => { if (fault[3] - slack <= moment && fault[4] + slack >= moment) lines.push(fault[0] + " " + fault[2].join(" ") + " · " + fault[5] + (fault[6] ? "\n  asked: " + fault[6] : "") + (fault[7] ? "\n  seen: " + fault[7] : "")); });
      data.phases.forEach((mark) => { if (mark[1] <= moment && mark[2] >= moment) lines.push("phase " + mark[0]); });
      data.notes.forEach((mark) => { if (mark[1] - slack <= moment && mark[2] + slack >= moment) lines.push(mark[0]); });
      return lines.slice(0, 8).join("\n");
    }
    const one = lanes[view.lane + Math.floor((y - laneTop()) / laneTall)];
    if (!one) return "";
    for (const list of [one.odd, one.good]) {
      const i = list[firstEndingAfter(list, moment - slack)];
      if (i !== undefined && at[i] <= moment + slack) return told(i);
    }
    return "";
  });

  const low = Math.log10(10), high = Math.log10(Math.max(20, took.reduce((most, one) => Math.max(most, one), 0)));
  const level = (us, state) => state.height - 6 - ((Math.log10(Math.max(us, 10)) - low) / (high - low)) * (state.height - 26);
  const POINTS = 12000;
  surface("scatter", 220, (brush, state) => {
    shade(brush, state); axis(brush, state);
    brush.fillStyle = colour("dim");
    for (let power = 1; power <= high; power++) brush.fillText(time(Math.pow(10, power)), 2, level(Math.pow(10, power), state) + 4);
    const paint = [colour("ok"), colour("unknown"), colour("fail")];
    const start = firstFrom(view.from), end = firstFrom(view.to), stride = Math.max(1, Math.ceil((end - start) / POINTS));
    const dot = end - start < 1500 ? 4 : 2;
    brush.globalAlpha = 0.65;
    for (let i = start; i < end; i++) {
      const kind = call[i] % 3;
      if (kind === 0 && i % stride) continue;
      const x = state.x(at[i]), y = level(took[i], state);
      brush.fillStyle = paint[kind];
      if (kind === 0) brush.fillRect(x - dot / 2, y - dot / 2, dot, dot); else if (kind === 1) brush.fillRect(x - 2, y - 2, 4, 4); else { brush.fillRect(x - 3, y - 0.5, 6, 1.5); }
    }
    brush.globalAlpha = 1;
  }, (x, y, state, when) => {
    const reach = ((view.to - view.from) / state.width) * 5, start = firstFrom(when(x) - reach), end = firstFrom(when(x) + reach);
    let best = -1, near = 100;
    for (let i = start; i < end; i++) {
      const far = Math.pow(state.x(at[i]) - x, 2) + Math.pow(level(took[i], state) - y, 2);
      if (far < near) { near = far; best = i; }
    }
    return best < 0 ? "" : told(best);
  });

  const press = (id, act) => { const button = document.getElementById(id); if (button) button.addEventListener("click", act); };
  press("closer", () => { const quarter = (view.to - view.from) / 4; look(view.from + quarter, view.to - quarter); });
  press("wider", () => { const half = (view.to - view.from) / 2; look(view.from - half, view.to + half); });
  press("earlier", () => { const third = (view.to - view.from) / 3; look(view.from - third, view.to - third); });
  press("later", () => { const third = (view.to - view.from) / 3; look(view.from + third, view.to + third); });
  press("whole", () => look(0, data.end));
  press("up", () => { view.lane = Math.max(0, view.lane - shown); redraw(); });
  press("down", () => { if (view.lane + shown < data.lanes) view.lane += shown; redraw(); });
  document.querySelectorAll("[data-look]").forEach((link) => link.addEventListener("click", () => {
    const one = data.anomalies[Number(link.getAttribute("data-look"))];
    if (!one) return;
    const margin = Math.max((one[2] - one[1]) * 0.5, 2000);
    look(one[1] - margin, one[2] + margin);
    document.getElementById("timeline").scrollIntoView({ block: "center" });
  }));
  window.addEventListener("resize", redraw);
  look(0, data.end);
})();
